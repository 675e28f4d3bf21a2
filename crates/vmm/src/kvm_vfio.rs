//! KVM's VFIO device: told of the device files, so that KVM knows of DMA that does not keep
//! caches coherent. It holds each file open, and so has to let go before a close.

use kvm_bindings::{
    KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, KVM_DEV_VFIO_FILE_DEL, kvm_create_device, kvm_device_attr,
    kvm_device_type_KVM_DEV_TYPE_VFIO,
};
use kvm_ioctls::{DeviceFd, Error, Kvm, VmFd};
use std::fs::File;
use std::os::fd::AsRawFd;

/// A VM that is there for its VFIO device.
pub struct OtherVm {
    _device: KvmVfio,
    _vm: VmFd,
}

/// KVM's VFIO device.
pub struct KvmVfio(DeviceFd);

impl KvmVfio {
    /// Makes it; a VM has one at the most.
    ///
    /// # Errors
    /// KVM's: ENODEV where KVM was built without VFIO support.
    pub fn new(vm: &VmFd) -> Result<Self, Error> {
        let mut device = kvm_create_device { type_: kvm_device_type_KVM_DEV_TYPE_VFIO, fd: 0, flags: 0 };
        vm.create_device(&mut device).map(Self)
    }

    /// `KVM_DEV_VFIO_FILE_ADD`.
    ///
    /// # Errors
    /// EEXIST if it is known already.
    pub fn add(&self, file: &File) -> Result<(), Error> {
        self.set(KVM_DEV_VFIO_FILE_ADD, file)
    }

    /// `KVM_DEV_VFIO_FILE_DEL`.
    ///
    /// # Errors
    /// ENOENT if it is not known.
    pub fn remove(&self, file: &File) -> Result<(), Error> {
        self.set(KVM_DEV_VFIO_FILE_DEL, file)
    }

    /// Has the VFIO device of another VM hold a file open; that VM has nothing else, and is gone with
    /// what this gives.
    ///
    /// # Errors
    /// No VM is to be had.
    pub fn of_another_vm(file: &File) -> Result<OtherVm, Error> {
        let vm = Kvm::new()?.create_vm()?;
        let device = Self::new(&vm)?;
        device.add(file)?;
        Ok(OtherVm { _device: device, _vm: vm })
    }

    fn set(&self, attribute: u32, file: &File) -> Result<(), Error> {
        let fd = file.as_raw_fd();
        let attribute = kvm_device_attr {
            group: KVM_DEV_VFIO_FILE,
            attr: attribute.into(),
            // Read by the kernel before the call returns.
            addr: &raw const fd as u64,
            flags: 0,
        };
        self.0.set_device_attr(&attribute)
    }
}
