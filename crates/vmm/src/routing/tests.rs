use super::*;
use kvm_bindings::{
    kvm_ioapic_state, kvm_ioapic_state__bindgen_ty_1, kvm_irqchip, kvm_irqchip__bindgen_ty_1,
};
use kvm_ioctls::{Kvm, VcpuFd};
use vmm_sys_util::eventfd::EFD_NONBLOCK;

/// A message to the local interrupt controller of ID 0, fixed delivery, edge.
fn to_vector(vector: u8) -> Message {
    Message { address: 0xfee0_0000, data: vector.into() }
}

#[test]
fn the_pins_are_in_every_table_and_messages_come_behind_them() {
    let table = BTreeMap::from([(24, Some(to_vector(0x40))), (25, None), (26, Some(to_vector(0x41)))]);
    let shape: Vec<_> = entries(&table).iter().map(|entry| (entry.gsi, entry.type_)).collect();
    let pins = (0..24).chain(0..16).map(|gsi| (gsi, KVM_IRQ_ROUTING_IRQCHIP));
    let messages = [24, 26].map(|gsi| (gsi, KVM_IRQ_ROUTING_MSI));
    assert_eq!(shape, pins.chain(messages).collect::<Vec<_>>());
}

/// A VM with interrupt controllers and a vCPU whose local one is turned on, which never runs.
struct Bench {
    vm: Arc<VmFd>,
    vcpu: VcpuFd,
}

impl Bench {
    /// `None`, and a word why, where there is no KVM.
    fn new() -> Option<Self> {
        let kvm = Kvm::new().inspect_err(|error| eprintln!("skipped: cannot open /dev/kvm: {error}")).ok()?;
        let vm = Arc::new(kvm.create_vm().unwrap());
        vm.create_irq_chip().unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        let bench = Self { vm, vcpu };
        /// Spurious interrupt vector register: on, vector 0xff (Intel SDM, volume 3, 12.9).
        const SPURIOUS: usize = 0xf0;
        let mut apic = bench.vcpu.get_lapic().unwrap();
        for (byte, value) in 0x1ff_u32.to_le_bytes().into_iter().enumerate() {
            apic.regs[SPURIOUS + byte] = value.cast_signed();
        }
        bench.vcpu.set_lapic(&apic).unwrap();
        Some(bench)
    }

    /// The vectors that are requested and not yet taken, by the IRR; KVM has delivered when it says so.
    fn requested(&self) -> Vec<u8> {
        const IRR: usize = 0x200;
        let apic = self.vcpu.get_lapic().unwrap();
        let bit = |vector: u8| {
            let (word, bit) = (usize::from(vector / 32), vector % 32);
            apic.regs[IRR + word * 16 + usize::from(bit / 8)].cast_unsigned() >> (bit % 8) & 1 != 0
        };
        (0..=255).filter(|vector| bit(*vector)).collect()
    }

    /// KVM delivers what it finds when an irqfd is attached from a work queue.
    fn eventually_requested(&self, vectors: &[u8]) {
        let begin = std::time::Instant::now();
        while self.requested() != vectors {
            assert!(begin.elapsed().as_secs() < 60, "{:x?} and not {vectors:x?}", self.requested());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

fn event() -> EventFd {
    EventFd::new(EFD_NONBLOCK).unwrap()
}

#[test]
fn a_signal_is_the_interrupt_the_route_says_also_a_changed_one() {
    let Some(bench) = Bench::new() else { return };
    let (routing, event) = (Routing::new(Arc::clone(&bench.vm)), event());
    let gsi = routing.reserve().unwrap();
    assert_eq!(gsi, 24);
    routing.route(&[(gsi, Some(to_vector(0x51)))]).unwrap();
    routing.attach(gsi, &event).unwrap();
    assert!(bench.requested().is_empty());
    event.write(1).unwrap();
    bench.eventually_requested(&[0x51]);
    routing.route(&[(gsi, Some(to_vector(0x62)))]).unwrap();
    event.write(1).unwrap();
    bench.eventually_requested(&[0x51, 0x62]);
    assert_eq!(routing.attach(gsi, &event), Err(Errno::BUSY));
}

#[test]
fn what_is_signalled_while_masked_waits_and_comes_with_the_unmask() {
    let Some(bench) = Bench::new() else { return };
    let (routing, event) = (Routing::new(Arc::clone(&bench.vm)), event());
    let gsi = routing.reserve().unwrap();
    routing.route(&[(gsi, Some(to_vector(0x51)))]).unwrap();
    routing.attach(gsi, &event).unwrap();
    routing.detach(gsi, &event).unwrap();
    event.write(1).unwrap();
    event.write(1).unwrap();
    assert!(bench.requested().is_empty());
    // Changed while masked, as Linux does it.
    routing.route(&[(gsi, Some(to_vector(0x52)))]).unwrap();
    routing.attach(gsi, &event).unwrap();
    bench.eventually_requested(&[0x52]);
    routing.detach(gsi, &event).unwrap();
    assert!(event.read().is_err(), "what was delivered is not pending any more");
}

#[test]
fn the_pins_go_on_working_beside_messages() {
    let Some(bench) = Bench::new() else { return };
    let routing = Routing::new(Arc::clone(&bench.vm));
    let gsi = routing.reserve().unwrap();
    routing.route(&[(gsi, Some(to_vector(0x51)))]).unwrap();
    /// Pin 4 of the I/O interrupt controller to vector 0x34 of ID 0, edge, not masked.
    const PIN: usize = 4;
    const MASKED: u64 = 1 << 16;
    let bits = |pin| if pin == PIN { 0x34 } else { MASKED };
    let ioapic = kvm_ioapic_state {
        base_address: 0xfec0_0000,
        redirtbl: std::array::from_fn(|pin| kvm_ioapic_state__bindgen_ty_1 { bits: bits(pin) }),
        ..Default::default()
    };
    let chip = kvm_irqchip__bindgen_ty_1 { ioapic };
    bench.vm.set_irqchip(&kvm_irqchip { chip_id: KVM_IRQCHIP_IOAPIC, chip, ..Default::default() }).unwrap();
    bench.vm.set_irq_line(PIN as u32, true).unwrap();
    bench.eventually_requested(&[0x34]);
}

#[test]
fn numbers_given_back_are_used_again_and_there_is_an_end_of_them() {
    let Some(bench) = Bench::new() else { return };
    let routing = Routing::new(Arc::clone(&bench.vm));
    let all: Vec<u32> = std::iter::from_fn(|| routing.reserve().ok()).collect();
    assert_eq!((all.len(), routing.reserve()), (4056, Err(Errno::NOSPC)));
    let everything: Vec<_> = all.iter().map(|gsi| (*gsi, Some(to_vector(0x51)))).collect();
    routing.route(&everything).unwrap();
    routing.route(&[(100, None), (99, None)]).unwrap();
    assert_eq!((routing.reserve(), routing.reserve()), (Ok(99), Ok(100)));
    routing.route(&all.iter().map(|gsi| (*gsi, None)).collect::<Vec<_>>()).unwrap();
    assert_eq!(routing.reserve(), Ok(24));
}
