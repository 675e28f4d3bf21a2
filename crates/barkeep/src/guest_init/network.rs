//! A network card: is there a link, and does somebody answer?

use anyhow::{Context, bail};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto, socket_with,
};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// ICMP (RFC 792): an echo request, its answer, the bytes of its header and of an IPv4 header without options.
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const IPV4_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
/// What marks the requests as ours.
const IDENTIFIER: u16 = 0xba2b;

const REQUESTS: u16 = 10;
/// One may be lost.
const NEEDED: u16 = REQUESTS - 1;
/// How often somebody who may still be booting is asked before the counting begins.
const TRIES: u16 = 60;
const PATIENCE: Duration = Duration::from_secs(1);

/// Says whether the first card has a link, and sends echo requests.
///
/// # Errors
/// There is no card, no link, or nobody answers.
pub fn ping(peer: &str) -> anyhow::Result<()> {
    let peer: Ipv4Addr = peer.parse().with_context(|| format!("`{peer}` is no IPv4 address"))?;
    let card = first_card()?;
    let name = card.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    wait_for_link(&card).with_context(|| format!("{name} has no link"))?;
    println!("guest: link of {name} is up");
    let answers = echo(peer)?;
    let packets = |what: &str| number(&card.join("statistics").join(what));
    println!(
        "guest: {peer} answered {answers} of {REQUESTS} requests; {name} sent {} packets and received {}",
        packets("tx_packets")?,
        packets("rx_packets")?
    );
    if answers < NEEDED { bail!("{peer} does not answer") } else { Ok(()) }
}

/// The first that is a device, unlike the loopback.
fn first_card() -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir("/sys/class/net").context("/sys/class/net")?;
    let mut cards: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    cards.sort();
    cards.into_iter().find(|card| card.join("device").exists()).context("no network card")
}

/// It takes a while after the card was reset.
fn wait_for_link(card: &Path) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        if number(&card.join("carrier"))? == 1 {
            return Ok(());
        }
        sleep(PATIENCE);
    }
    bail!("waited for {TRIES} s")
}

fn number(file: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    text.trim().parse().with_context(|| file.display().to_string())
}

/// How many of the requests were answered.
fn echo(peer: Ipv4Addr) -> anyhow::Result<u16> {
    let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMP))
        .context("no socket for ICMP")?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).context("no time-out for ICMP")?;
    let ask = |sequence: u16| {
        let sent = sendto(&socket, &request(sequence), SendFlags::empty(), &SocketAddrV4::new(peer, 0));
        // Unreachable, say, until its hardware address is known: no answer either.
        sent.is_ok() && is_answered(&socket, sequence)
    };
    if !(0..TRIES).any(ask) {
        return Ok(0);
    }
    let answered = (TRIES..TRIES + REQUESTS).filter(|sequence| ask(*sequence));
    Ok(answered.count() as u16)
}

/// Until the answer comes, or nothing does any more: others' packets are received, too.
fn is_answered(socket: &impl std::os::fd::AsFd, sequence: u16) -> bool {
    let mut packet = [0; 256];
    while let Ok((bytes, _, _)) = recvfrom(socket, &mut packet[..], RecvFlags::empty()) {
        let Some(message) = packet.get(IPV4_HEADER..bytes) else { continue };
        let mut expected = request(sequence);
        expected[0] = ECHO_REPLY;
        // All but the checksum.
        if message.len() >= ICMP_HEADER && message[..2] == expected[..2] && message[4..8] == expected[4..8] {
            return true;
        }
    }
    false
}

fn request(sequence: u16) -> [u8; ICMP_HEADER] {
    let mut message = [ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 0];
    message[4..6].copy_from_slice(&IDENTIFIER.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    let checksum = checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// RFC 1071: the ones' complement of the ones' complement sum of its 16-bit words.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_its_checksum_sums_up_to_nothing() {
        for sequence in [0, 1, 0xffff] {
            assert_eq!(checksum(&request(sequence)), 0);
        }
        // RFC 1071, 3: the example there.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
