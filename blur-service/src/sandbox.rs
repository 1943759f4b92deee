//! The process shuts itself in before the first picture: what a decoder could be made to do by a hostile file then reaches
//! nothing. It gains no privileges, has no path of the file system, opens no connection or socket, and starts no program;
//! what it needs of all that it has opened before. By Landlock, whose rules name no path at all, and by seccomp.

use std::collections::BTreeMap;

use clap::ValueEnum;
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use thiserror::Error;

/// What is done where the kernel has not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// The process ends.
    Require,
    /// It is logged, once.
    Try,
    /// Nothing is tried.
    Off,
}

/// Which walls stand.
#[derive(Debug)]
pub struct Walls {
    pub landlock: Result<RulesetStatus, SandboxError>,
    pub seccomp: Result<(), SandboxError>,
}

#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("Landlock: {0}")]
    Landlock(#[from] RulesetError),
    #[error("Landlock: this kernel does not have it, or not all that is asked of it")]
    NoLandlock,
    #[error("seccomp: {0}")]
    Filter(#[from] BackendError),
    #[error("seccomp: {0}")]
    Seccomp(#[from] seccompiler::Error),
}

/// Raises the walls about this thread and all that it starts. Whoever calls has no other threads: Landlock would leave them
/// outside.
pub fn shut_in() -> Walls {
    Walls {
        landlock: no_paths().map_err(SandboxError::from),
        seccomp: no_doors(),
    }
}

impl Walls {
    /// What is missing.
    pub fn gaps(&self) -> impl Iterator<Item = &SandboxError> {
        let no_landlock = match &self.landlock {
            Ok(RulesetStatus::NotEnforced) => Some(&SandboxError::NoLandlock),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        no_landlock.into_iter().chain(self.seccomp.as_ref().err())
    }
}

/// Every right that the kernel knows is handled, and none is given.
fn no_paths() -> Result<RulesetStatus, RulesetError> {
    let newest = ABI::V6;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

fn no_doors() -> Result<(), SandboxError> {
    let target: TargetArch = std::env::consts::ARCH.try_into()?;
    let refused = DOORS.iter().flat_map(|number| numbers_of(*number));
    let rules: BTreeMap<i64, _> = refused.map(|number| (number, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EACCES as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, target)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

/// A call may have a second number, by which programs of another size of pointers make it.
fn numbers_of(call: libc::c_long) -> impl Iterator<Item = i64> {
    let other = cfg!(target_arch = "x86_64").then_some(call | OTHER_POINTERS);
    [call].into_iter().chain(other)
}

/// `__X32_SYSCALL_BIT` of Linux' `asm/unistd.h`.
const OTHER_POINTERS: i64 = 0x4000_0000;

/// What leads out of a process: to programs, paths, sockets, other processes, and to calls that lead there in their turn.
const DOORS: &[libc::c_long] = &[
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    // Paths.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    libc::SYS_renameat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    libc::SYS_linkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_truncate,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmodat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_chroot,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    // Sockets: connections that come in are accepted without.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    // Other processes, and what the kernel keeps for all.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_mq_open,
    // What leads past this list, or has often led past all.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_personality,
];
