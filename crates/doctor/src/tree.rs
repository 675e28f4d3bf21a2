//! Trees as sysfs, procfs and `/dev` would be, for the tests of this crate.

use crate::roots::Roots;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) struct Tree {
    folder: TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("barkeep-doctor-").unwrap();
        let tree = Self { folder };
        for name in ["sys/bus/pci/devices", "sys/bus/pci/drivers", "dev", "proc/self", "run"] {
            fs::create_dir_all(tree.path(name)).unwrap();
        }
        tree
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::below(self.folder.path())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A link at `name` to `target`, both from here.
    pub(crate) fn link(&self, name: &str, target: &str) {
        let (name, target) = (self.path(name), self.path(target));
        fs::create_dir_all(name.parent().unwrap()).unwrap();
        fs::create_dir_all(&target).unwrap();
        let _ = fs::remove_file(&name);
        symlink(target, name).unwrap();
    }

    /// A function and the bridges above it, by its place below `devices`.
    pub(crate) fn function(&self, place: &str) {
        let mut path = PathBuf::from("sys/devices");
        for name in Path::new(place) {
            path.push(name);
            let name = name.to_str().unwrap();
            if !name.starts_with("pci") {
                self.link(&format!("sys/bus/pci/devices/{name}"), path.to_str().unwrap());
            }
        }
    }

    /// Where sysfs has a function.
    pub(crate) fn folder(&self, address: &str) -> PathBuf {
        self.roots().pci_devices().join(address)
    }

    pub(crate) fn write_in(&self, address: &str, name: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("sys/bus/pci/devices/{address}/{name}"), content);
    }

    pub(crate) fn config(&self, address: &str, config: &[u8]) {
        self.write_in(address, "config", config);
    }

    /// Gives a function to a driver.
    pub(crate) fn drive(&self, address: &str, driver: &str) {
        self.link(&format!("sys/bus/pci/devices/{address}/driver"), &format!("sys/bus/pci/drivers/{driver}"));
    }

    /// Puts functions into an IOMMU group.
    pub(crate) fn group(&self, number: u32, addresses: &[&str]) {
        let group = format!("sys/kernel/iommu_groups/{number}");
        for address in addresses {
            self.link(&format!("{group}/devices/{address}"), &format!("sys/bus/pci/devices/{address}"));
            self.link(&format!("sys/bus/pci/devices/{address}/iommu_group"), &group);
        }
    }
}
