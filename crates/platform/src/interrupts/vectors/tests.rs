use super::*;
use crate::interrupts::registers::Registers;
use barkeep_pci::layout::{Location, MsiCapability, MsixCapability};
use barkeep_pci::msi::Msi;
use barkeep_pci::msix::Msix;
use barkeep_pci::write::ConfigWrite;
use proptest::prelude::*;

const VECTORS: u16 = 4;
const MSI: u16 = 0x50;
const MSIX: u16 = 0x70;

fn registers() -> Registers {
    let msi = MsiCapability { offset: MSI, is_64bit: true, maskable: true, vectors: VECTORS };
    let table = Location { bar: 0, offset: 0, size: u64::from(VECTORS) * 16 };
    let pba = Location { bar: 0, offset: 0x800, size: 8 };
    let msix = MsixCapability { offset: MSIX, table, pba };
    Registers { msi: Some(Msi::new(msi)), msix: Some(Msix::new(msix)) }
}

fn message(data: u32) -> Message {
    Message { address: 0xfee0_0000, data }
}

fn wanted(mechanism: Mechanism, open: &[(u16, u32)]) -> Wanted {
    let open = open.iter().map(|(vector, data)| (*vector, message(*data))).collect();
    Wanted { on: Some((mechanism, VECTORS)), open }
}

/// Plans and takes every step; gives them.
fn go(vectors: &mut Vectors, wanted: &Wanted) -> Vec<Step> {
    let steps = vectors.plan(wanted);
    steps.iter().for_each(|step| vectors.done(step));
    assert_eq!(vectors.plan(wanted), [], "and then there is nothing more to do");
    steps
}

#[test]
fn a_vector_of_msix_is_had_of_the_host_once_the_guest_opens_it() {
    let mut vectors = Vectors::default();
    let on = Step::Enable(Mechanism::MsiX, VECTORS);
    assert_eq!(go(&mut vectors, &wanted(Mechanism::MsiX, &[])), [on]);
    assert_eq!(
        go(&mut vectors, &wanted(Mechanism::MsiX, &[(2, 7)])),
        [Step::Route(vec![(2, message(7))]), Step::Attach(2), Step::Signal(2)]
    );
}

#[test]
fn masking_keeps_the_route_and_unmasking_takes_it_up_again() {
    let mut vectors = Vectors::default();
    go(&mut vectors, &wanted(Mechanism::MsiX, &[(0, 1), (1, 2)]));
    assert_eq!(go(&mut vectors, &wanted(Mechanism::MsiX, &[(1, 2)])), [Step::Detach(0)]);
    assert!(vectors.holds(0) && !vectors.holds(1) && !vectors.holds(2));
    assert_eq!(go(&mut vectors, &wanted(Mechanism::MsiX, &[(0, 1), (1, 2)])), [Step::Attach(0)]);
}

#[test]
fn another_message_replaces_the_route_where_it_is() {
    let mut vectors = Vectors::default();
    go(&mut vectors, &wanted(Mechanism::MsiX, &[(0, 1)]));
    let rerouted = go(&mut vectors, &wanted(Mechanism::MsiX, &[(0, 9)]));
    assert_eq!(rerouted, [Step::Route(vec![(0, message(9))])]);
}

#[test]
fn msi_is_turned_on_with_all_its_vectors_once_their_way_is_made() {
    let mut vectors = Vectors::default();
    assert_eq!(
        go(&mut vectors, &wanted(Mechanism::Msi, &[(0, 4), (3, 7)])),
        [
            Step::Route(vec![(0, message(4)), (3, message(7))]),
            Step::Attach(0),
            Step::Attach(3),
            Step::Enable(Mechanism::Msi, VECTORS),
        ]
    );
    assert!(vectors.holds(1), "a masked one signals too");
}

#[test]
fn the_end_is_the_device_then_the_irqfds_then_the_routes() {
    let mut vectors = Vectors::default();
    go(&mut vectors, &wanted(Mechanism::Msi, &[(0, 4), (1, 5)]));
    let end = go(&mut vectors, &Wanted::default());
    assert_eq!(end, [Step::Disable(Mechanism::Msi), Step::Detach(0), Step::Detach(1), Step::GiveUp]);
    assert_eq!(vectors, Vectors::default());
}

#[test]
fn from_one_mechanism_to_the_other_is_an_end_and_a_begin() {
    let mut vectors = Vectors::default();
    go(&mut vectors, &wanted(Mechanism::Msi, &[]));
    let on = Step::Enable(Mechanism::MsiX, VECTORS);
    let steps = go(&mut vectors, &wanted(Mechanism::MsiX, &[]));
    assert_eq!(steps, [Step::Disable(Mechanism::Msi), Step::GiveUp, on]);
}

#[test]
fn what_is_opened_at_once_arrives_wherever_it_waited() {
    let mut vectors = Vectors::default();
    go(&mut vectors, &wanted(Mechanism::MsiX, &[(2, 7)]));
    go(&mut vectors, &wanted(Mechanism::MsiX, &[]));
    // Vector 2 waits in its eventfd, vector 0 in the device.
    assert!(vectors.holds(2) && !vectors.holds(0));
    assert_eq!(
        go(&mut vectors, &wanted(Mechanism::MsiX, &[(0, 1), (2, 7)])),
        [Step::Route(vec![(0, message(1))]), Step::Attach(0), Step::Attach(2), Step::Signal(0)]
    );
}

/// What a guest, and its device, do.
#[derive(Clone, Debug)]
enum Deed {
    Config(ConfigWrite),
    Table { at: u64, value: u32 },
    Signal(u16),
}

/// Writes that mean something: any bytes at all would hardly ever turn anything on.
fn deed() -> impl Strategy<Value = Deed> {
    let vector = 0..VECTORS;
    let table =
        |at: u64| move |(vector, value): (u16, u32)| Deed::Table { at: u64::from(vector) * 16 + at, value };
    prop_oneof![
        2 => (0u8..2, 0u8..4).prop_map(|(on, count)| Deed::Config(ConfigWrite::byte(MSI + 2, on | count << 4))),
        2 => (0u32..16).prop_map(|mask| Deed::Config(ConfigWrite::dword(MSI + 16, mask))),
        1 => (0u16..8).prop_map(|data| Deed::Config(ConfigWrite::word(MSI + 12, data))),
        2 => prop_oneof![Just(0xfee0_0000_u32), Just(0xfee0_1000), Just(0x1000)]
            .prop_map(|address| Deed::Config(ConfigWrite::dword(MSI + 4, address))),
        3 => (0u8..4).prop_map(|bits| Deed::Config(ConfigWrite::byte(MSIX + 3, bits << 6))),
        2 => (vector.clone(), prop_oneof![Just(0xfee0_0000_u32), Just(0xfee0_2000), Just(0)]).prop_map(table(0)),
        1 => (vector.clone(), 0u32..4).prop_map(table(8)),
        4 => (vector.clone(), 0u32..2).prop_map(table(12)),
        6 => vector.prop_map(Deed::Signal),
    ]
}

/// What the steps act on, as the kernel has it.
#[derive(Default)]
struct World {
    on: Option<(Mechanism, u16)>,
    /// Vectors whose eventfd the device has.
    signalled: BTreeMap<u16, ()>,
    /// Vectors that have signalled while masked in the device itself.
    held_in_device: BTreeMap<u16, ()>,
    counters: BTreeMap<u16, u64>,
    routes: BTreeMap<u16, Message>,
    attached: BTreeMap<u16, ()>,
    /// By the last deed.
    delivered: Vec<Message>,
}

impl World {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Disable(mechanism) => {
                assert_eq!(self.on.take().map(|on| on.0), Some(*mechanism));
                self.signalled.clear();
                self.held_in_device.clear();
            }
            Step::Detach(vector) => {
                assert!(self.attached.remove(vector).is_some() && self.routes.contains_key(vector));
                // `irqfd_shutdown` takes out what an irqfd has found and delivered.
                self.counters.remove(vector);
            }
            Step::GiveUp => {
                assert!(self.on.is_none() && self.attached.is_empty(), "nothing may come any more");
                self.routes.clear();
                self.counters.clear();
            }
            Step::Route(routes) => self.routes.extend(routes.iter().copied()),
            Step::Attach(vector) => {
                assert!(self.routes.contains_key(vector) && self.attached.insert(*vector, ()).is_none());
                if self.counters.get(vector).is_some_and(|count| *count > 0) {
                    self.deliver(*vector);
                }
            }
            Step::Enable(mechanism, count) => {
                assert_eq!(self.on.replace((*mechanism, *count)), None);
                if *mechanism == Mechanism::Msi {
                    self.signalled = (0..*count).map(|vector| (vector, ())).collect();
                }
            }
            Step::Signal(vector) => {
                assert!(self.on.is_some() && self.signalled.insert(*vector, ()).is_none());
                if self.held_in_device.remove(vector).is_some() {
                    self.signal(*vector);
                }
            }
        }
    }

    fn signal(&mut self, vector: u16) {
        if self.attached.contains_key(&vector) && self.signalled.contains_key(&vector) {
            // `irqfd_wakeup` takes out all there is.
            self.counters.remove(&vector);
            self.deliver(vector);
        } else if self.signalled.contains_key(&vector) {
            *self.counters.entry(vector).or_default() += 1;
        } else if self.on.is_some_and(|(mechanism, _)| mechanism == Mechanism::MsiX) {
            self.held_in_device.insert(vector, ());
        }
    }

    fn deliver(&mut self, vector: u16) {
        let message = self.routes.get(&vector).expect("KVM drops what has no route");
        self.delivered.push(*message);
    }
}

/// What a function with these registers would do by itself.
#[derive(Default)]
struct Guest {
    pending: BTreeMap<u16, ()>,
    /// By the last deed.
    delivered: Vec<Message>,
}

impl Guest {
    fn signal(&mut self, vector: u16, wanted: &Wanted) {
        match (wanted.on, wanted.open.get(&vector)) {
            (Some(_), Some(message)) => self.delivered.push(*message),
            (Some((_, count)), None) if vector < count => drop(self.pending.insert(vector, ())),
            (Some(_) | None, _) => {}
        }
    }

    fn follow(&mut self, before: &Wanted, now: &Wanted) {
        if before.on != now.on {
            self.pending.clear();
        }
        for (vector, message) in &now.open {
            if self.pending.remove(vector).is_some() {
                self.delivered.push(*message);
            }
        }
    }
}

fn write(registers: &mut Registers, deed: &Deed) {
    match deed {
        Deed::Config(write) => drop(registers.write(write)),
        Deed::Table { at, value } => {
            registers.msix.as_mut().unwrap().bar_write(0, *at, &value.to_le_bytes());
        }
        Deed::Signal(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// In whatever order a guest writes and its device signals: each message arrives as the function
    /// would have sent it, masked ones once and after the unmask, and nothing is left at the end.
    #[test]
    fn what_arrives_is_what_the_function_would_send(deeds in prop::collection::vec(deed(), 1..60)) {
        let (mut registers, mut vectors) = (registers(), Vectors::default());
        let (mut world, mut guest) = (World::default(), Guest::default());
        let mut before = registers.wanted();
        for deed in &deeds {
            if let Deed::Signal(vector) = deed {
                world.signal(*vector);
                guest.signal(*vector, &before);
            }
            write(&mut registers, deed);
            let wanted = registers.wanted();
            for step in vectors.plan(&wanted) {
                world.take(&step);
                vectors.done(&step);
            }
            guest.follow(&before, &wanted);
            // What one write opens comes in no order of the vectors: some wait in their eventfds, some in
            // the device, and a function may send them as it likes.
            world.delivered.sort_by_key(|message| (message.address, message.data));
            guest.delivered.sort_by_key(|message| (message.address, message.data));
            prop_assert_eq!(&world.delivered, &guest.delivered, "after {:?}", deed);
            world.delivered.clear();
            guest.delivered.clear();
            for vector in 0..VECTORS {
                let kept = vectors.holds(vector) && world.counters.get(&vector).is_some_and(|n| *n > 0);
                let pending = kept || world.held_in_device.contains_key(&vector);
                prop_assert_eq!(pending, guest.pending.contains_key(&vector), "vector {}", vector);
            }
            before = wanted;
        }
        vectors.plan(&Wanted::default()).iter().for_each(|step| world.take(step));
        prop_assert!(world.routes.is_empty() && world.signalled.is_empty() && world.attached.is_empty());
    }

    /// Whichever steps fail: what is there is known, goes away at the end, and works once nothing fails.
    #[test]
    fn a_step_that_fails_leaves_nothing_behind(
        deeds in prop::collection::vec((deed(), prop::option::of(0usize..4)), 1..40),
    ) {
        let (mut registers, mut vectors, mut world) = (registers(), Vectors::default(), World::default());
        for (deed, fails) in &deeds {
            write(&mut registers, deed);
            for (number, step) in vectors.plan(&registers.wanted()).into_iter().enumerate() {
                let ends = matches!(step, Step::Disable(_) | Step::Detach(_) | Step::GiveUp);
                if *fails == Some(number) && !ends {
                    break;
                }
                world.take(&step);
                vectors.done(&step);
            }
        }
        let wanted = registers.wanted();
        for step in vectors.plan(&wanted) {
            world.take(&step);
            vectors.done(&step);
        }
        prop_assert!(wanted.open.keys().eq(world.attached.keys()));
        prop_assert_eq!(world.on, wanted.on);
        for step in vectors.plan(&Wanted::default()) {
            world.take(&step);
            vectors.done(&step);
        }
        prop_assert_eq!(vectors, Vectors::default());
        prop_assert!(world.routes.is_empty() && world.signalled.is_empty() && world.attached.is_empty());
    }
}
