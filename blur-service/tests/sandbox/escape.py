"""Makes every thread of a running process try to get out, as a decoder that a hostile file has taken over would: by
ptrace(2), whose calls are the process's own. Prints what the kernel answered, as JSON: call -> results of all threads."""

import ctypes
import json
import os
import struct
import sys

ATTACH, DETACH, GETREGS, SETREGS, SINGLESTEP = 16, 17, 12, 13, 9
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()
ARGUMENTS = "rdi rsi rdx r10 r8 r9".split()
ALL_THREADS = 0x40000000
AT_FDCWD = -100 & 0xFFFFFFFFFFFFFFFF

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


def ptrace(request, thread, data=None):
    if libc.ptrace(request, thread, None, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def registers(thread):
    found = Registers()
    ptrace(GETREGS, thread, ctypes.byref(found))
    return found


def call(thread, saved, number, *arguments):
    changed = Registers.from_buffer_copy(saved)
    # The two bytes before are the instruction in which the thread waits.
    changed.rip, changed.rax, changed.orig_rax = saved.rip - 2, number, 0xFFFFFFFFFFFFFFFF
    for name, value in zip(ARGUMENTS, arguments):
        setattr(changed, name, value)
    ptrace(SETREGS, thread, ctypes.byref(changed))
    ptrace(SINGLESTEP, thread)
    os.waitpid(thread, ALL_THREADS)
    return ctypes.c_longlong(registers(thread).rax).value


def attempts(process, thread):
    saved = registers(thread)
    with open(f"/proc/{process}/mem", "r+b", buffering=0) as memory:
        memory.seek(saved.rip - 2)
        if memory.read(2) != b"\x0f\x05":
            return {}
        at = saved.rsp - 4096
        address = struct.pack("=HH4s8x", 2, 0x0900, b"\x7f\0\0\1")
        memory.seek(at)
        memory.write(b"/" + b"\0" * 15 + b"/bin/true\0\0\0\0\0\0\0" + address)
    path, program, peer = at, at + 16, at + 32
    found = {
        "open": call(thread, saved, 2, path, 0),
        "openat": call(thread, saved, 257, AT_FDCWD, path, 0),
        "open by 32 bits": call(thread, saved, 2 | 0x40000000, path, 0),
        "socket": call(thread, saved, 41, 2, 1, 0),
        "connect": call(thread, saved, 42, 0, peer, 16),
        "unlink": call(thread, saved, 87, path),
        "kill": call(thread, saved, 62, os.getpid(), 0),
        "io_uring": call(thread, saved, 425, 1, at),
        "execve": call(thread, saved, 59, program, 0, 0) if "--exec" in sys.argv else None,
    }
    ptrace(SETREGS, thread, ctypes.byref(saved))
    return found


process = int(sys.argv[1])
told = {}
for name in os.listdir(f"/proc/{process}/task"):
    thread = int(name)
    ptrace(ATTACH, thread)
    os.waitpid(thread, ALL_THREADS)
    for attempt, result in attempts(process, thread).items():
        told.setdefault(attempt, []).append(result)
    ptrace(DETACH, thread)
print(json.dumps(told))
