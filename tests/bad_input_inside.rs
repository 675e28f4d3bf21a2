//! Wrong input that only a booted kernel can tell.

mod common;

use common::bench::{Bench, Ran};
use common::{EDU, gate, scenario};

/// The NVMe where `nvme-edu` has it, and nobody's.
const UNBOUND: &str = r#"
version = 1
name = "unbound"
[[device]]
name = "nvme"
model = "nvme"
slot = "03.0"
bind = "none"
properties = { serial = "barkeep", cmb_size_mb = 16, legacy-cmb = true }
backend = { driver = "null-co", size = "64M", read-zeroes = true }
[[device]]
name = "edu"
model = "edu"
slot = "04.0"
bind = "vfio-pci"
"#;

/// Boots the usual kernel for a run that ends with status 2.
fn refused(bench: &Bench, options: &[&str], inner: &[&str]) -> Option<Ran> {
    let kernel = gate::kernel(gate::PLAIN)?;
    let ran = bench.run_lab(&kernel, options, inner);
    ran.ended(2);
    Some(ran)
}

#[test]
fn a_kernel_without_iommufd() {
    let Some(kernel) = gate::kernel(gate::NO_IOMMUFD) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &[]).ended(2).tells(&["the kernel lacks", "CONFIG_IOMMUFD"]);
}

#[test]
fn a_kernel_without_dma_buf_export() {
    let Some(kernel) = gate::kernel(gate::NO_DMABUF_EXPORT) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &[]).ended(2).tells(&["the kernel lacks", "CONFIG_VFIO_PCI_DMABUF"]);
}

#[test]
fn a_device_that_is_not_there() {
    let inner = ["run", "--device", "nvme=0000:00:09.0", "--device", &format!("edu={EDU}")];
    let Some(ran) = refused(&Bench::new(), &[], &inner) else { return };
    ran.tells(&["cannot pass a device through", "there is no PCI device 0000:00:09.0"]);
}

#[test]
fn a_device_that_is_not_bound() {
    let bench = Bench::new();
    bench.write("unbound.toml", UNBOUND);
    bench.write("flr.toml", scenario::of("flr", &["do = \"flr\"; device = \"nvme\""]));
    let topology = ["--topology", "unbound.toml"];
    let Some(ran) = refused(&bench, &topology, &["replay", "flr.toml"]) else { return };
    ran.tells(&["0000:00:03.0 is bound to no driver, not to vfio-pci", "barkeep bind 0000:00:03.0"]);
}

#[test]
fn a_device_the_topology_does_not_have() {
    let bench = Bench::new();
    bench.write("other.toml", scenario::of("other", &["do = \"flr\"; device = \"nvem\""]));
    let Some(ran) = refused(&bench, &[], &["replay", "other.toml"]) else { return };
    ran.tells(&["`nvem`", "the topology has nvme, edu", "did you mean `nvme`?"]);
}

#[test]
fn a_device_the_vm_does_not_have() {
    let bench = Bench::new();
    bench.write("other.toml", scenario::of("other", &["do = \"flr\"; device = \"nvme\""]));
    let inner = ["replay", "other.toml", "--device", &format!("nvne={EDU}")];
    let Some(ran) = refused(&bench, &[], &inner) else { return };
    ran.tells(&["the scenario does not fit this VM", "`nvme`", "did you mean `nvne`?"]);
}

#[test]
fn a_window_that_is_none() {
    let bench = Bench::new();
    let fill = "do = \"fill\"; to = { device = \"nvme\", bar = 3 }; pattern = 1";
    bench.write("bar.toml", scenario::of("bar", &[fill]));
    let Some(ran) = refused(&bench, &[], &["replay", "bar.toml"]) else { return };
    ran.tells(&["the scenario does not fit this VM", "nvme:3+0x0"]);
}
