//! A vhost-user entropy device in one file of Rust: one connection, one split ring, nothing but std.
//! rustc --edition 2021 -O -o rng-rust rng.rs && ./rng-rust /tmp/rng.sock

use std::ffi::c_void;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{fence, Ordering};

const VERSION: u32 = 1;
const REPLY: u32 = 4;
const NEED_REPLY: u32 = 8;
const NOFD: u64 = 0x100;
const PROTOCOL_FEATURES: u64 = 1 << 30;
const FEATURES: u64 = PROTOCOL_FEATURES | 1 << 32;
const MQ: u64 = 1;
const REPLY_ACK: u64 = 1 << 3;
const MOST_REGIONS: usize = 8;
const MOST_BYTES: usize = 4096;
const MOST_FDS: usize = 253;

#[repr(C)]
struct IoVec { base: *mut c_void, len: usize }
#[repr(C)]
struct MsgHdr {
    name: *mut c_void, namelen: u32, iov: *mut IoVec, iovlen: usize,
    control: *mut c_void, controllen: usize, flags: i32,
}
#[repr(C)]
struct PollFd { fd: RawFd, events: i16, revents: i16 }
extern "C" {
    fn recvmsg(fd: RawFd, message: *mut MsgHdr, flags: i32) -> isize;
    fn mmap(at: *mut c_void, len: usize, prot: i32, flags: i32, fd: RawFd, offset: i64) -> *mut c_void;
    fn munmap(at: *mut c_void, len: usize) -> i32;
    fn poll(fds: *mut PollFd, count: u64, timeout: i32) -> i32;
}
const POLLIN: i16 = 1;
const CLOEXEC: i32 = 0x4000_0000;

/// A region of the front-end's memory; the addresses are the guest's and the front-end's own.
struct Region { guest: u64, size: u64, user: u64, offset: u64, start: *mut u8 }

impl Drop for Region {
    fn drop(&mut self) {
        unsafe { munmap(self.start.cast(), (self.size + self.offset) as usize) };
    }
}

#[derive(Default)]
struct Device {
    regions: Vec<Region>,
    kick: Option<File>,
    call: Option<File>,
    error: Option<File>,
    protocol: u64,
    size: u16,
    base: u16,
    addresses: [u64; 3], // descriptors, used, available
    started: bool,
    enabled: bool,
    polls: bool,
}

enum Outcome { Done, Failed, Answer(Vec<u8>) }
use Outcome::{Answer, Done, Failed};

fn u32_at(bytes: &[u8], at: usize) -> u32 { u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) }
fn u64_at(bytes: &[u8], at: usize) -> u64 { u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) }
fn when(good: bool) -> Outcome { if good { Done } else { Failed } }
fn answer(number: u64) -> Outcome { Answer(number.to_ne_bytes().to_vec()) }

impl Device {
    fn at(&self, address: u64, length: u64, guest: bool) -> Option<*mut u8> {
        let r = self.regions.iter().find(|r| {
            let from = if guest { r.guest } else { r.user };
            address >= from && address - from <= r.size && length <= r.size - (address - from)
        })?;
        let from = if guest { r.guest } else { r.user };
        Some(unsafe { r.start.add((r.offset + address - from) as usize) })
    }

    /// The requests that are there; whether any was.
    fn serve(&mut self) {
        let size = u64::from(self.size);
        let [table, used, available] = self.addresses;
        let places = (self.at(table, 16 * size, false), self.at(available, 6 + 2 * size, false),
                      self.at(used, 6 + 8 * size, false));
        let (table, avail, used) = match places {
            (Some(table), Some(avail), Some(used)) => (table, avail, used),
            _ => return,
        };
        if !self.started || !self.enabled || size == 0 { return }
        let mut any = false;
        for _ in 0..size {
            if self.base == unsafe { avail.add(2).cast::<u16>().read_volatile() } { break }
            fence(Ordering::Acquire);
            let slot = (self.base % self.size) as usize;
            let head = unsafe { avail.add(4 + 2 * slot).cast::<u16>().read_volatile() };
            if head >= self.size { return }
            let written = self.fill(table, head);
            unsafe {
                used.add(4 + 8 * slot).cast::<u32>().write_volatile(head.into());
                used.add(8 + 8 * slot).cast::<u32>().write_volatile(written);
            }
            fence(Ordering::Release);
            self.base = self.base.wrapping_add(1);
            unsafe { used.add(2).cast::<u16>().write_volatile(self.base) };
            any = true;
        }
        let wanted = unsafe { avail.cast::<u16>().read_volatile() } & 1 == 0;
        if let (true, true, Some(call)) = (any, wanted, &mut self.call) {
            let _ = call.write(&1u64.to_ne_bytes());
        }
    }

    /// Fill the writable parts of a chain; how many bytes that were.
    fn fill(&self, table: *mut u8, head: u16) -> u32 {
        let (mut next, mut written) = (head, 0);
        for _ in 0..self.size {
            let mut d = [0u8; 16];
            unsafe { table.add(16 * next as usize).copy_to(d.as_mut_ptr(), 16) };
            let (length, flags) = (u32_at(&d, 8), u16::from_ne_bytes([d[12], d[13]]));
            if let (true, Some(place)) = (flags & 2 != 0, self.at(u64_at(&d, 0), length.into(), true)) {
                let buffer = unsafe { std::slice::from_raw_parts_mut(place, length as usize) };
                if File::open("/dev/urandom").and_then(|mut f| f.read_exact(buffer)).is_ok() { written += length }
            }
            next = u16::from_ne_bytes([d[14], d[15]]);
            if flags & 1 == 0 || next >= self.size { break }
        }
        written
    }

    fn map(&mut self, payload: &[u8], fds: &mut Vec<OwnedFd>) -> Outcome {
        let count = if payload.len() < 8 { return Failed } else { u32_at(payload, 0) as usize };
        if count > MOST_REGIONS || count != fds.len() || payload.len() != 8 + 32 * count { return Failed }
        self.regions.clear();
        for (number, fd) in fds.drain(..).enumerate() {
            let word = |at: usize| u64_at(payload, 8 + 32 * number + 8 * at);
            let (guest, size, user, offset) = (word(0), word(1), word(2), word(3));
            let file = File::from(fd);
            let there = file.metadata().map_or(0, |m| m.len());
            let sound = size > 0 && guest.checked_add(size).is_some() && user.checked_add(size).is_some()
                && offset.checked_add(size).map_or(false, |end| end <= there);
            let apart = |from: u64, of: fn(&Region) -> u64| {
                self.regions.iter().all(|r| from >= of(r) + r.size || of(r) >= from + size)
            };
            if !sound || !apart(guest, |r| r.guest) || !apart(user, |r| r.user) { return Failed }
            let start = unsafe {
                mmap(std::ptr::null_mut(), (offset + size) as usize, 3, 1, file.as_raw_fd(), 0)
            };
            if start as isize == -1 { return Failed }
            self.regions.push(Region { guest, size, user, offset, start: start.cast() });
        }
        Done
    }

    fn carry_out(&mut self, request: u32, payload: &[u8], fds: &mut Vec<OwnedFd>) -> Outcome {
        let size = match request { 1 | 3 | 4 | 15 | 17 => 0, 9 => 40, 2 | 8 | 10..=14 | 16 | 18 => 8, _ => 0 };
        if request == 5 { return self.map(payload, fds) }
        if payload.len() != size { return Failed }
        if matches!(request, 8..=11 | 18) && u32_at(payload, 0) != 0 { return Failed } // there is one ring
        let number = if size >= 8 { u64_at(payload, 0) } else { 0 };
        let state = if size >= 8 { u32_at(payload, 4) } else { 0 };
        match request {
            1 => answer(FEATURES),
            2 => {
                self.enabled |= number & PROTOCOL_FEATURES == 0;
                when(number & !FEATURES == 0)
            }
            3 => Done,
            4 => { self.enabled = false; Done }
            8 if state.is_power_of_two() && state <= 32768 => { self.size = state as u16; Done }
            9 => {
                self.addresses = [u64_at(payload, 8), u64_at(payload, 16), u64_at(payload, 24)];
                when(self.addresses.iter().all(|each| self.at(*each, 6, false).is_some()))
            }
            10 => { self.base = state as u16; Done }
            11 => {
                (self.started, self.polls) = (false, false);
                Answer([0u32.to_ne_bytes(), u32::from(self.base).to_ne_bytes()].concat())
            }
            12..=14 if number & 0xff == 0 && fds.len() == usize::from(number & NOFD == 0) => {
                let file = fds.pop().map(File::from);
                match request { 12 => self.kick = file, 13 => self.call = file, _ => self.error = file }
                if request == 12 { (self.started, self.polls) = (true, number & NOFD != 0) }
                Done
            }
            15 => answer(MQ | REPLY_ACK),
            16 => { self.protocol = number; when(number & !(MQ | REPLY_ACK) == 0) }
            17 => answer(1),
            18 => { self.enabled = state == 1; when(state <= 1) }
            _ => Failed,
        }
    }
}

/// So many bytes, and the descriptors that come with them; None at the end.
fn receive(peer: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> Option<()> {
    let mut got = 0;
    while got < bytes.len() {
        let mut control = [0u64; 2 + MOST_FDS / 2 + 1];
        let mut part = IoVec { base: bytes[got..].as_mut_ptr().cast(), len: bytes.len() - got };
        let mut header = MsgHdr {
            name: std::ptr::null_mut(), namelen: 0, iov: &mut part, iovlen: 1,
            control: control.as_mut_ptr().cast(), controllen: std::mem::size_of_val(&control), flags: 0,
        };
        let n = unsafe { recvmsg(peer.as_raw_fd(), &mut header, CLOEXEC) };
        if n <= 0 { return None }
        got += n as usize;
        if header.controllen > 16 {
            // one control message: its length, level and type (16 bytes), then the descriptors
            let first = unsafe { control.as_ptr().add(2).cast::<RawFd>() };
            for number in 0..(control[0] as usize - 16) / 4 {
                fds.push(unsafe { OwnedFd::from_raw_fd(*first.add(number)) });
            }
        }
    }
    Some(())
}

/// One message, answered; None when the connection is to end.
fn handle(device: &mut Device, peer: &mut UnixStream) -> Option<()> {
    let (mut header, mut fds) = ([0u8; 12], Vec::new());
    receive(peer, &mut header, &mut fds)?;
    let (request, flags, size) = (u32_at(&header, 0), u32_at(&header, 4), u32_at(&header, 8) as usize);
    if size > MOST_BYTES || flags & 7 != VERSION { return None }
    let mut payload = vec![0; size];
    receive(peer, &mut payload, &mut fds)?;
    let outcome = device.carry_out(request, &payload, &mut fds);
    let acknowledge = flags & NEED_REPLY != 0 && device.protocol & REPLY_ACK != 0;
    let body = match outcome {
        Answer(body) => body,
        Failed if !acknowledge => return None, // nothing else tells the front-end
        Done if !acknowledge => return Some(()),
        Done => 0u64.to_ne_bytes().to_vec(),
        Failed => 1u64.to_ne_bytes().to_vec(),
    };
    let words = [request, VERSION | REPLY, body.len() as u32];
    let mut reply: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    reply.extend(body);
    peer.write_all(&reply).ok()
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: rng-rust SOCKET");
    for peer in UnixListener::bind(path).expect("the socket cannot be had").incoming() {
        let (mut peer, mut device) = (peer.expect("accept"), Device::default());
        loop {
            let kick = device.kick.as_ref().filter(|_| device.started).map_or(-1, AsRawFd::as_raw_fd);
            let mut wait = [
                PollFd { fd: peer.as_raw_fd(), events: POLLIN, revents: 0 },
                PollFd { fd: kick, events: POLLIN, revents: 0 },
            ];
            if unsafe { poll(wait.as_mut_ptr(), 2, if device.polls { 1 } else { -1 }) } < 0 { break }
            if let (true, Some(kick)) = (wait[1].revents & POLLIN != 0, &mut device.kick) {
                let _ = kick.read(&mut [0; 8]);
            }
            if wait[0].revents != 0 && handle(&mut device, &mut peer).is_none() { break }
            device.serve();
        }
    }
}
