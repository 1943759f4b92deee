//! What a process that decodes has left: the socket of its picture, memory and time up to a limit, threads of its own.
//! Everything else is refused by seccomp, whose list names what is allowed, and paths and connections by Landlock once more.

use std::{collections::BTreeMap, io};

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, Scope};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// # Errors
/// If a limit or seccomp cannot be had. Of Landlock the kernel may lack all: no call that it would refuse is left.
pub fn raise(memory: u64) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Cpu, MOST_SECONDS),
        (Resource::Data, memory),
        (Resource::As, memory.saturating_add(MAPPED)),
    ] {
        let (current, maximum) = (Some(most), Some(most));
        setrlimit(resource, Rlimit { current, maximum })?;
    }
    let _ = no_paths();
    shut_doors()
}

fn no_paths() -> Result<(), RulesetError> {
    let newest = ABI::V6;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?;
    rules.create()?.restrict_self().map(drop)
}

fn shut_doors() -> io::Result<()> {
    // A call that cannot be looked into, instead of which the C library takes the one that can.
    let newer = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    apply(newer, SeccompAction::Allow, missing)?;
    let mut allowed: BTreeMap<_, _> = LEFT.iter().map(|call| (*call, Vec::new())).collect();
    for (call, rule) in looked_into().map_err(io::Error::other)? {
        allowed.insert(call, vec![rule]);
    }
    apply(allowed, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn apply(calls: BTreeMap<i64, Vec<SeccompRule>>, otherwise: SeccompAction, listed: SeccompAction) -> io::Result<()> {
    let program = || -> Result<BpfProgram, BackendError> {
        let target: TargetArch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(calls, otherwise, listed, target)?.try_into()
    };
    let program = program().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

/// A thread, and no process; memory, and no code.
fn looked_into() -> Result<[(i64, SeccompRule); 3], BackendError> {
    use SeccompCmpOp::MaskedEq;
    let only = |argument, operator, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
        SeccompRule::new(vec![condition])
    };
    let thread = libc::CLONE_THREAD as u64;
    let code = libc::PROT_EXEC as u64;
    Ok([
        (libc::SYS_clone, only(0, MaskedEq(thread), thread)?),
        (libc::SYS_mmap, only(2, MaskedEq(code), 0)?),
        (libc::SYS_mprotect, only(2, MaskedEq(code), 0)?),
    ])
}

const LEFT: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, beside `clone`; `clone3` is answered above.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    // Time, chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_nanosleep,
];

/// Of one core.
const MOST_SECONDS: u64 = 30;
/// Addresses that hold no data of the process's own: libraries, what the C library sets aside for threads.
const MAPPED: u64 = 1 << 30;
