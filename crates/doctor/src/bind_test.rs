use super::*;
use crate::roots;
use crate::tree::Tree;
use std::fs;
use std::os::unix::fs::symlink;

const DEVICE: &str = "0000:01:00.0";

/// `to_vfio` or `back`.
type Planner = fn(&Roots, &Wish<'_>) -> Result<Plan, BindError>;

/// The driver core, as far as these files show it: bind and unbind move the link, and a driver binds only
/// what is not reserved for another. Any write can be made to fail.
struct Core<'a> {
    tree: &'a Tree,
    writes: usize,
    fails: Vec<usize>,
    /// This driver says yes and takes nothing.
    idle: Option<&'static str>,
}

impl<'a> Core<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self { tree, writes: 0, fails: Vec::new(), idle: None }
    }

    fn link(&self) -> PathBuf {
        self.tree.folder(DEVICE).join("driver")
    }
}

impl Hand for Core<'_> {
    fn write(&mut self, place: &Path, text: &str) -> io::Result<()> {
        self.writes += 1;
        if self.fails.contains(&self.writes) {
            return Err(io::Error::from_raw_os_error(16));
        }
        let folder = place.parent().unwrap();
        match place.file_name().unwrap().to_str().unwrap() {
            "driver_override" => {
                let name = if text == "\n" { "(null)\n" } else { text };
                fs::write(place, name)
            }
            "unbind" => {
                assert_eq!(text, DEVICE);
                fs::remove_file(self.link())?;
                let _ = fs::remove_dir_all(self.tree.folder(DEVICE).join("vfio-dev"));
                Ok(())
            }
            "bind" => {
                assert_eq!(text, DEVICE);
                let driver = folder.file_name().unwrap().to_str().unwrap();
                let reserved = roots::text(&self.tree.folder(DEVICE).join("driver_override")).unwrap();
                assert!(reserved == driver || reserved == "(null)", "{driver} is not {reserved}");
                if self.idle != Some(driver) {
                    symlink(folder, self.link())?;
                    if driver == VFIO {
                        self.tree.write_in(DEVICE, "vfio-dev/vfio0/dev", "");
                    }
                }
                Ok(())
            }
            other => panic!("nobody writes to {other}"),
        }
    }
}

/// A function with that driver and that `driver_override`.
fn tree(driver: Option<&str>, reserved: &str) -> Tree {
    let tree = Tree::new();
    tree.function("pci0000:00/0000:00:01.0/0000:01:00.0");
    tree.write_in(DEVICE, "driver_override", format!("{reserved}\n"));
    tree.config(DEVICE, &[0; 256]);
    for name in [VFIO, "nvme", "other"] {
        fs::create_dir_all(tree.roots().pci_driver(name)).unwrap();
    }
    if let Some(driver) = driver {
        tree.drive(DEVICE, driver);
    }
    tree.write("proc/sys/kernel/random/boot_id", "1b4e28ba\n");
    tree
}

/// Who has it, and for whom it is reserved.
fn now(tree: &Tree) -> (Option<String>, String) {
    let function = Function::find(&tree.roots(), DEVICE.parse().unwrap()).unwrap();
    (function.driver(), tree.read(&format!("sys/bus/pci/devices/{DEVICE}/driver_override")))
}

fn planned(tree: &Tree, plan: Planner, force: bool) -> Result<Way, BindError> {
    let state = state_folder(&tree.roots());
    match plan(&tree.roots(), &Wish { address: DEVICE.parse().unwrap(), force, state: &state })? {
        Plan::Steps(way) => Ok(*way),
        Plan::Nothing(why) => panic!("{why}"),
    }
}

fn done(tree: &Tree, plan: Planner) {
    carry_out(&planned(tree, plan, false).unwrap(), &mut Core::new(tree)).unwrap();
}

const WERE: [(Option<&str>, &str); 5] = [
    (Some("nvme"), "(null)"),
    (Some("nvme"), "nvme"),
    (Some("nvme"), "other"),
    (None, "(null)"),
    (None, "other"),
];

#[test]
fn there_and_exactly_back() {
    for (driver, reserved) in WERE {
        let tree = tree(driver, reserved);
        let before = now(&tree);
        done(&tree, to_vfio);
        assert_eq!(now(&tree), (Some(VFIO.to_owned()), "vfio-pci\n".to_owned()));
        let place = tree.path("run/barkeep/bound/0000:01:00.0");
        assert!(place.exists());
        done(&tree, back);
        assert_eq!(now(&tree), before, "{driver:?} {reserved}");
        assert!(!place.exists());
    }
}

#[test]
fn whatever_write_fails_all_is_as_before() {
    let ways: [(Planner, bool); 2] = [(to_vfio, false), (back, true)];
    for (plan, is_bound) in ways {
        for (driver, reserved) in WERE {
            for fail in 1.. {
                let tree = tree(driver, reserved);
                if is_bound {
                    done(&tree, to_vfio);
                }
                let (before, memory) = (now(&tree), tree.path("run/barkeep/bound/0000:01:00.0").exists());
                let mut core = Core { fails: vec![fail], ..Core::new(&tree) };
                match carry_out(&planned(&tree, plan, false).unwrap(), &mut core) {
                    Ok(()) => {
                        assert!(fail > 1 && core.writes < fail);
                        break;
                    }
                    Err(BindError::Undone { .. }) => {}
                    Err(error) => panic!("{driver:?} {reserved} {fail}: {error}"),
                }
                assert_eq!(now(&tree), before, "{driver:?} {reserved} {fail}");
                assert_eq!(tree.path("run/barkeep/bound/0000:01:00.0").exists(), memory);
            }
        }
    }
}

#[test]
fn a_driver_that_says_yes_and_takes_nothing_is_noticed() {
    let tree = tree(Some("nvme"), "(null)");
    let before = now(&tree);
    let mut core = Core { idle: Some(VFIO), ..Core::new(&tree) };
    let error = carry_out(&planned(&tree, to_vfio, false).unwrap(), &mut core).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("cannot have vfio-pci take it") && told.contains("as it was before"), "{told}");
    assert!(!error.is_usage());
    assert_eq!(now(&tree), before);
}

#[test]
fn what_cannot_be_undone_is_told_and_remembered() {
    let tree = tree(Some("nvme"), "(null)");
    let way = planned(&tree, to_vfio, false).unwrap();
    // The gift to vfio-pci, and on the way back the one to nvme.
    let mut core = Core { fails: vec![3, 5], ..Core::new(&tree) };
    let error = carry_out(&way, &mut core).unwrap_err();
    assert!(matches!(error, BindError::Stuck { .. }), "{error}");
    assert_eq!(now(&tree).1, "(null)\n", "what can be put back is");
    assert!(tree.path("run/barkeep/bound/0000:01:00.0").exists());
}

/// Who is not root gets no further than this.
struct Nobody;

impl Hand for Nobody {
    fn write(&mut self, _: &Path, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn who_may_not_write_has_changed_nothing() {
    let tree = tree(Some("nvme"), "(null)");
    let before = now(&tree);
    let told = carry_out(&planned(&tree, to_vfio, false).unwrap(), &mut Nobody).unwrap_err().to_string();
    assert!(
        told.contains("cannot reserve it for vfio-pci") && told.contains("only root may do it"),
        "{told}"
    );
    fs::remove_dir_all(tree.path("run/barkeep")).unwrap();
    tree.write("run/barkeep", "in the way");
    let error = carry_out(&planned(&tree, to_vfio, false).unwrap(), &mut Nobody).unwrap_err();
    assert!(matches!(error, BindError::Undone { .. }), "{error}");
    assert_eq!(now(&tree), before);
}

#[test]
fn what_is_printed_is_what_is_done() {
    let tree = tree(Some("nvme"), "(null)");
    let printed = planned(&tree, to_vfio, false).unwrap().to_string();
    assert_eq!(printed.matches("\n# ").count() + 1, 5, "{printed}");
    let places: Vec<usize> =
        ["bound/0000:01:00.0", "driver_override", "nvme/unbind", "vfio-pci/bind", "readlink"]
            .iter()
            .map(|part| printed.find(part).unwrap_or_else(|| panic!("no {part} in {printed}")))
            .collect();
    assert!(places.is_sorted(), "{printed}");
    assert!(!tree.path("run/barkeep").exists());
    assert_eq!(now(&tree).0.as_deref(), Some("nvme"));
}

#[test]
fn the_right_words_for_what_is_wrong() {
    let tree = tree(Some("nvme"), "(null)");
    let refused = |plan: Planner| {
        let error = planned(&tree, plan, false).unwrap_err();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    assert!(refused(back).contains("nothing is remembered of 0000:01:00.0"));
    tree.write("proc/swaps", "Filename\n");
    tree.link("sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/virtfn0", "sys/bus/pci/devices/0000:01:10.0");
    assert!(refused(to_vfio).contains("--force"));
    assert!(planned(&tree, to_vfio, true).is_ok());
    fs::remove_file(tree.folder(DEVICE).join("virtfn0")).unwrap();
    let mut bridge = [0; 256];
    bridge[0x0e] = 0x81;
    tree.config(DEVICE, &bridge);
    assert!(refused(to_vfio).contains("is a bridge"));
    tree.config(DEVICE, &[0; 256]);
    fs::remove_dir(tree.roots().pci_driver(VFIO)).unwrap();
    assert!(refused(to_vfio).contains("modprobe vfio-pci"));
    let nowhere = Wish { address: "0000:09:00.0".parse().unwrap(), force: false, state: Path::new("/none") };
    for plan in [to_vfio, back] {
        assert!(matches!(plan(&tree.roots(), &nowhere), Err(BindError::NotThere(_))));
    }
}

#[test]
fn what_is_remembered_has_to_be_true_still() {
    let tree = tree(Some("nvme"), "(null)");
    done(&tree, to_vfio);
    let refused = || planned(&tree, back, false).unwrap_err().to_string();
    fs::rename(tree.roots().pci_driver("nvme"), tree.roots().pci_driver("gone")).unwrap();
    assert!(refused().contains("modprobe nvme"));
    fs::rename(tree.roots().pci_driver("gone"), tree.roots().pci_driver("nvme")).unwrap();
    tree.drive(DEVICE, "other");
    assert!(refused().contains("is bound to other, not to vfio-pci"));
    tree.drive(DEVICE, VFIO);
    tree.write("proc/sys/kernel/random/boot_id", "another\n");
    assert!(refused().contains("an earlier boot"));
    let place = "run/barkeep/bound/0000:01:00.0";
    tree.write(place, "version = 9\nboot = \"another\"\n");
    assert!(refused().contains("version 9"));
    tree.write(place, "driver = 1\n");
    assert!(refused().contains("is not what `barkeep bind` writes"));
}

#[test]
fn a_device_in_use_is_not_waited_for() {
    let tree = tree(Some("nvme"), "(null)");
    done(&tree, to_vfio);
    fs::create_dir_all(tree.path("proc/42/fd")).unwrap();
    symlink("/dev/vfio/devices/vfio0", tree.path("proc/42/fd/7")).unwrap();
    tree.write("proc/42/comm", "qemu\n");
    tree.write("proc/43/maps", "7f0000000000-7f0000001000 rw-s 00000000 00:0f 5   /dev/vfio/devices/vfio0\n");
    tree.write("proc/43/comm", "other\n");
    tree.write(
        "proc/44/maps",
        "7f0000000000-7f0000001000 rw-s 00000000 00:0f 5   /dev/vfio/devices/vfio01\n",
    );
    let told = planned(&tree, back, false).unwrap_err().to_string();
    assert!(told.contains("process 42 (qemu), process 43 (other); end that"), "{told}");
    assert!(planned(&tree, back, true).is_ok());
}

#[test]
fn what_is_bound_already_is_left_alone() {
    for driver in [VFIO, "mlx5-vfio-pci"] {
        let tree = tree(Some(driver), "(null)");
        let state = state_folder(&tree.roots());
        let wish = Wish { address: DEVICE.parse().unwrap(), force: false, state: &state };
        let plan = to_vfio(&tree.roots(), &wish).unwrap();
        assert!(matches!(plan, Plan::Nothing(why) if why.contains(driver)));
    }
}
