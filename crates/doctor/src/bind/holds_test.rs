use super::*;
use crate::tree::Tree;

const DISK: &str = "0000:01:00.0";
const NETWORK: &str = "0000:02:00.0";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.function("pci0000:00/0000:00:01.0/0000:01:00.0");
    tree.function("pci0000:00/0000:00:02.0/0000:02:00.0");
    tree
}

fn told(tree: &Tree, address: &str) -> Vec<String> {
    let function = Function::find(&tree.roots(), address.parse().unwrap()).unwrap();
    uses(&tree.roots(), &function).iter().map(ToString::to_string).collect()
}

/// A block device at a place below `devices`.
fn block(tree: &Tree, name: &str, number: &str, place: &str) {
    let folder = format!("sys/devices/{place}/{name}");
    tree.link(&format!("sys/class/block/{name}"), &folder);
    tree.link(&format!("sys/dev/block/{number}"), &folder);
    tree.write(&format!("dev/{name}"), "");
}

fn mounted(tree: &Tree, number: &str, at: &str, source: &str) {
    tree.write(
        "proc/self/mountinfo",
        format!("22 1 0:21 / /proc rw - proc proc rw\n30 1 {number} / {at} rw,relatime shared:1 - ext4 {source} rw\n"),
    );
}

const DISK_PLACE: &str = "pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme0";

#[test]
fn a_partition_that_is_mounted() {
    let tree = tree();
    block(&tree, "nvme0n1", "259:0", DISK_PLACE);
    block(&tree, "nvme0n1p2", "259:2", &format!("{DISK_PLACE}/nvme0n1"));
    assert_eq!(told(&tree, DISK), [""; 0]);
    mounted(&tree, "259:2", "/", "/dev/nvme0n1p2");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at / (on nvme0n1p2)"]);
    assert_eq!(told(&tree, NETWORK), [""; 0]);
}

#[test]
fn a_filesystem_on_something_mapped_from_the_disk() {
    let tree = tree();
    block(&tree, "nvme0n1", "259:0", DISK_PLACE);
    block(&tree, "dm-0", "253:0", "virtual/block");
    block(&tree, "dm-1", "253:1", "virtual/block");
    tree.link("sys/devices/virtual/block/dm-1/slaves/dm-0", "sys/devices/virtual/block/dm-0");
    tree.link("sys/devices/virtual/block/dm-0/slaves/nvme0n1", &format!("sys/devices/{DISK_PLACE}/nvme0n1"));
    mounted(&tree, "253:1", "/home", "/dev/mapper/home");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at /home (on dm-1)"]);
}

#[test]
fn a_partition_of_disks_that_were_joined() {
    let tree = tree();
    block(&tree, "nvme0n1", "259:0", DISK_PLACE);
    block(&tree, "md0", "9:0", "virtual/block");
    tree.link("sys/devices/virtual/block/md0/slaves/nvme0n1", &format!("sys/devices/{DISK_PLACE}/nvme0n1"));
    block(&tree, "md0p1", "259:5", "virtual/block/md0");
    tree.write("sys/devices/virtual/block/md0/md0p1/partition", "1\n");
    mounted(&tree, "259:5", "/srv", "/dev/md0p1");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at /srv (on md0p1)"]);
}

#[test]
fn a_multipath_nvme_is_found_by_its_subsystem() {
    let tree = tree();
    let subsystem = "virtual/nvme-subsystem/nvme-subsys0";
    block(&tree, "nvme0n1", "259:0", subsystem);
    tree.link(&format!("sys/devices/{subsystem}/nvme0"), &format!("sys/devices/{DISK_PLACE}"));
    mounted(&tree, "259:0", "/", "/dev/nvme0n1");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at / (on nvme0n1)"]);
    assert_eq!(told(&tree, NETWORK), [""; 0]);
}

#[test]
fn btrfs_names_one_of_its_devices_only() {
    let tree = tree();
    block(&tree, "nvme0n1", "259:0", DISK_PLACE);
    block(&tree, "sda", "8:0", "elsewhere");
    tree.link("sys/fs/btrfs/0a1b/devices/nvme0n1", &format!("sys/devices/{DISK_PLACE}/nvme0n1"));
    mounted(&tree, "0:40", "/", "/dev/sda");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at btrfs (on nvme0n1)"]);
    mounted(&tree, "0:40", "/", "/dev/nvme0n1");
    assert_eq!(told(&tree, DISK), ["holds the filesystem at / (on nvme0n1)"]);
}

#[test]
fn swap_space() {
    let tree = tree();
    block(&tree, "nvme0n1p1", "259:1", DISK_PLACE);
    let head = "Filename\tType\tSize\tUsed\tPriority\n";
    tree.write("proc/swaps", format!("{head}/swapfile file 1 0 -2\n"));
    assert_eq!(told(&tree, DISK), [""; 0]);
    tree.write("proc/swaps", format!("{head}/dev/nvme0n1p1 partition 1 0 -2\n"));
    assert_eq!(told(&tree, DISK), ["holds swap space (/dev/nvme0n1p1)"]);
}

/// Interfaces of that name, each on its hardware.
fn interfaces(tree: &Tree, all: &[(&str, &str)]) {
    for (name, place) in all {
        tree.link(&format!("sys/class/net/{name}"), &format!("sys/devices/{place}/net/{name}"));
    }
}

fn routes(tree: &Tree, defaults: &[&str]) {
    let line = |name: &&str| format!("{name}\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
    let lines: String = defaults.iter().map(line).collect();
    let net = "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
    tree.write("proc/net/route", format!("Iface\tDestination\tGateway\tFlags\n{net}{lines}"));
}

const NETWORK_PLACE: &str = "pci0000:00/0000:00:02.0/0000:02:00.0";
const LOST: &str = "has the only network link with a default route (eth0)";

#[test]
fn the_only_network_link() {
    let tree = tree();
    interfaces(&tree, &[("eth0", NETWORK_PLACE), ("eth1", "pci0000:00/0000:00:03.0"), ("tun0", "virtual")]);
    routes(&tree, &[]);
    assert_eq!(told(&tree, NETWORK), [""; 0]);
    routes(&tree, &["eth0"]);
    assert_eq!(told(&tree, NETWORK), [LOST]);
    assert_eq!(told(&tree, DISK), [""; 0]);
    // Another one that stays; and one that goes through the first.
    routes(&tree, &["eth0", "eth1"]);
    assert_eq!(told(&tree, NETWORK), [""; 0]);
    routes(&tree, &["eth0", "tun0"]);
    assert_eq!(told(&tree, NETWORK), [LOST]);
}

#[test]
fn a_link_by_ipv6_alone() {
    let tree = tree();
    interfaces(&tree, &[("eth0", NETWORK_PLACE)]);
    let (zero, gateway) = ("0".repeat(32), "fe80".repeat(8));
    let line = |flags, name| {
        format!("{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 {flags}     {name}\n")
    };
    tree.write("proc/net/ipv6_route", line("00200200", "eth0") + &line("00200200", "lo"));
    assert_eq!(told(&tree, NETWORK), [""; 0]);
    tree.write("proc/net/ipv6_route", line("00450003", "eth0"));
    assert_eq!(told(&tree, NETWORK), [LOST]);
}

#[test]
fn a_bond_goes_on_with_one_port() {
    let tree = tree();
    interfaces(
        &tree,
        &[
            ("eth0", NETWORK_PLACE),
            ("eth1", "pci0000:00/0000:00:03.0"),
            ("bond0", "virtual"),
            ("vlan7", "virtual"),
        ],
    );
    tree.link("sys/devices/virtual/net/vlan7/lower_bond0", "sys/devices/virtual/net/bond0");
    tree.link("sys/devices/virtual/net/bond0/lower_eth0", &format!("sys/devices/{NETWORK_PLACE}/net/eth0"));
    routes(&tree, &["vlan7"]);
    assert_eq!(told(&tree, NETWORK), ["has the only network link with a default route (vlan7)"]);
    tree.link("sys/devices/virtual/net/bond0/lower_eth1", "sys/devices/pci0000:00/0000:00:03.0/net/eth1");
    assert_eq!(told(&tree, NETWORK), [""; 0]);
}

#[test]
fn virtual_functions_and_what_they_carry_go_with_the_physical_one() {
    let tree = tree();
    tree.function("pci0000:00/0000:00:02.0/0000:02:10.0");
    tree.link(
        "sys/devices/pci0000:00/0000:00:02.0/0000:02:00.0/virtfn0",
        "sys/devices/pci0000:00/0000:00:02.0/0000:02:10.0",
    );
    interfaces(&tree, &[("eth0", "pci0000:00/0000:00:02.0/0000:02:10.0")]);
    routes(&tree, &["eth0"]);
    let told = told(&tree, NETWORK);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], LOST);
    assert!(told[1].starts_with("has 1 virtual functions"), "{told:?}");
}

#[test]
fn what_vfio_has_nobody_uses() {
    let tree = tree();
    block(&tree, "nvme0n1", "259:0", DISK_PLACE);
    mounted(&tree, "259:0", "/", "/dev/nvme0n1");
    tree.drive(DISK, "vfio-pci");
    assert_eq!(told(&tree, DISK), [""; 0]);
}
