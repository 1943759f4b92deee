//! Leaving a virtual address. VRRP moves addresses and not connections, so that whoever is connected when it moves is cut
//! off: before that, nobody new is let in until those who are here have their answers.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use socket2::{SockFilter, SockRef};

/// Has the kernel drop what would open a connection to a listening socket. Whoever tries is not refused: his system asks
/// again after a second (RFC 6298), then after two more.
pub fn ignore_newcomers(listener: &OwnedFd) -> io::Result<()> {
    SockRef::from(listener).attach_filter(&DROP_SYN)
}

/// Classic BPF over a TCP header: nothing of a packet that has SYN without ACK, all of any other.
const DROP_SYN: [SockFilter; 5] = [
    SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
    SockFilter::new(AND, 0, 0, SYN | ACK),
    SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];

/// linux/bpf_common.h: `BPF_LD | BPF_B | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, `BPF_JMP | BPF_JEQ | BPF_K`,
/// `BPF_RET | BPF_K`.
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Where a TCP header has its flags, and two of them (RFC 9293).
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Renames the process, which Keepalived's `track_process veil` hears of at once, as of a death: `/readyz` is asked once a
/// second only.
pub fn give_up_virtual_address() {
    tracing::info!("the virtual address may go");
    if let Err(error) = fs::write("/proc/self/comm", LEAVING) {
        tracing::warn!(%error, "the virtual address stays until Keepalived asks /readyz");
    }
}

/// Fifteen bytes at most.
const LEAVING: &str = "veil-leaving";
