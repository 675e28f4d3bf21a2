use super::*;
use crate::tree::Tree;

const ENGINE: &str = "0000:03:00.0";
const NEIGHBOUR: &str = "0000:04:00.0";
const ALONE: &str = "0000:00:05.0";
const FAR: &str = "0000:81:00.0";

/// Two devices below a switch, one on the root complex, one below another host bridge.
fn tree(redirect: u16) -> Tree {
    let tree = Tree::new();
    tree.function("pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:00.0/0000:03:00.0");
    tree.function("pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:01.0/0000:04:00.0");
    tree.function("pci0000:00/0000:00:05.0");
    tree.function("pci0000:00/0000:00:00.0");
    tree.function("pci0000:80/0000:80:00.0");
    tree.function("pci0000:80/0000:80:01.0/0000:81:00.0");
    let mut config = vec![0; 4096];
    config[0x100..0x104].copy_from_slice(&[0x0d, 0x00, 0x01, 0x00]);
    config[0x106..0x108].copy_from_slice(&redirect.to_le_bytes());
    for bridge in ["0000:01:00.0", "0000:02:00.0", "0000:02:01.0"] {
        tree.config(bridge, &config);
    }
    for (group, address) in (1..).zip([ENGINE, NEIGHBOUR, ALONE, FAR]) {
        tree.group(group, &[address]);
    }
    tree
}

fn host_bridge(tree: &Tree, address: &str, vendor: &str, device: &str) {
    tree.write_in(address, "vendor", vendor);
    tree.write_in(address, "device", device);
}

fn pair(tree: &Tree, from: &str, to: &str, exports: bool) -> Peer {
    let find = |address: &str| Function::find(&tree.roots(), address.parse().unwrap()).unwrap();
    let (from, to) = (find(from), find(to));
    let from = Station { function: &from, exports: Some(true) };
    let to = Station { function: &to, exports: Some(exports) };
    peer(&tree.roots(), &from, &to)
}

#[test]
fn without_redirection_below_a_switch_addresses_go_astray() {
    let tree = tree(0);
    let found = pair(&tree, ENGINE, NEIGHBOUR, true);
    assert_eq!((found.reach, found.dma_api), (Reach::Astray, "direct"));
    assert!(found.why.contains("both below 0000:01:00.0"), "{found:?}");
    assert!(found.cure.unwrap().contains("config_acs"));
    // Not on the way of these two.
    assert_eq!(pair(&tree, ENGINE, ALONE, true).reach, Reach::Try);
}

#[test]
fn with_redirection_it_is_the_root_complex_that_decides() {
    let tree = tree(1 << 2);
    let found = pair(&tree, ENGINE, NEIGHBOUR, true);
    assert_eq!((found.reach, found.dma_api), (Reach::Try, "refused"));
    host_bridge(&tree, "0000:00:00.0", "0x8086", "0x09a2");
    let found = pair(&tree, ENGINE, NEIGHBOUR, true);
    assert_eq!((found.reach, found.dma_api), (Reach::Yes, "through host bridge"));
    assert_eq!(pair(&tree, ALONE, ENGINE, true).reach, Reach::Yes);
}

#[test]
fn what_cannot_be_read_is_not_claimed() {
    let tree = tree(1 << 2);
    host_bridge(&tree, "0000:00:00.0", "0x8086", "0x09a2");
    tree.config("0000:02:01.0", &[0; 64]);
    let found = pair(&tree, ENGINE, NEIGHBOUR, true);
    assert_eq!((found.reach, found.dma_api), (Reach::Try, "unknown"));
    assert!(found.why.contains("cannot be read") && found.cure.unwrap().contains("root"));
    // These two have no switch in common.
    assert_eq!(pair(&tree, ALONE, NEIGHBOUR, true).reach, Reach::Yes);
}

#[test]
fn between_host_bridges_both_have_to_be_listed_and_some_do_not_count() {
    let tree = tree(1 << 2);
    host_bridge(&tree, "0000:00:00.0", "0x8086", "0x2030");
    assert_eq!(pair(&tree, ENGINE, FAR, true).reach, Reach::Try);
    host_bridge(&tree, "0000:80:00.0", "0x8086", "0x2030");
    assert_eq!(pair(&tree, ENGINE, FAR, true).reach, Reach::Yes);
    host_bridge(&tree, "0000:80:00.0", "0x8086", "0x2f00");
    assert_eq!(pair(&tree, ENGINE, FAR, true).reach, Reach::Try);
}

#[test]
fn zen_sends_everything_on() {
    let tree = tree(1 << 2);
    let cpu = |vendor, family| format!("processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\n");
    for (vendor, family, reach) in
        [("AuthenticAMD", 23, Reach::Yes), ("AuthenticAMD", 22, Reach::Try), ("GenuineIntel", 23, Reach::Try)]
    {
        tree.write("proc/cpuinfo", cpu(vendor, family));
        assert_eq!(pair(&tree, ENGINE, FAR, true).reach, reach, "{vendor} {family}");
    }
}

#[test]
fn what_exports_nothing_or_has_no_iommu_is_not_reached() {
    let tree = tree(1 << 2);
    let found = pair(&tree, ENGINE, ALONE, false);
    assert_eq!(found.reach, Reach::No);
    assert!(found.why.contains("0000:00:05.0 has no window"), "{found:?}");
    std::fs::remove_file(tree.folder(ALONE).join("iommu_group")).unwrap();
    let found = pair(&tree, ENGINE, ALONE, true);
    assert_eq!(found.reach, Reach::No);
    assert!(found.why.contains("no IOMMU group") && found.cure.is_some(), "{found:?}");
}

#[test]
fn only_drivers_that_do_dma_keep_a_group() {
    let tree = Tree::new();
    let mates = ["0000:00:01.0", "0000:00:01.1", "0000:00:01.2", "0000:00:01.3", "0000:00:01.4"];
    for address in mates {
        tree.function(&format!("pci0000:00/{address}"));
    }
    tree.group(3, &mates);
    for (address, driver) in mates[1..].iter().zip(["pcieport", "pci-stub", "mlx5-vfio-pci", "snd_hda_intel"])
    {
        tree.drive(address, driver);
    }
    let function = Function::find(&tree.roots(), mates[0].parse().unwrap()).unwrap();
    let live = live_group_mates(&tree.roots(), &function);
    assert_eq!(live, [(mates[4].parse().unwrap(), "snd_hda_intel".to_owned())]);
}
