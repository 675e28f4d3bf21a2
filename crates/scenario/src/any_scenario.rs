//! Any scenario that makes sense to the language, for tests.

use super::*;
use crate::units::{Lapse, Size};
use std::time::Duration;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z][a-z0-9-]{0,8}", 1 => ".{0,12}"]
}

fn lapse() -> impl Strategy<Value = Lapse> {
    let time = || prop_oneof![(0..u64::MAX).boxed(), (0..5_000_u64).prop_map(|ms| ms * 1_000_000).boxed()];
    prop_oneof![
        time().prop_map(|ns| Duration::from_nanos(ns).into()),
        (time(), time()).prop_map(|(a, b)| {
            Lapse::Between(Duration::from_nanos(a.min(b)), Duration::from_nanos(a.max(b)))
        }),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    (name(), 0..6_u8, 0..1_u64 << 40).prop_map(|(device, bar, offset)| {
        let offset = offset & !0xfff;
        Place { device, bar, offset, moved_from: false }
    })
}

fn pick<T: Clone + std::fmt::Debug + 'static>(words: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(words.to_vec())
}

fn accesses() -> impl Strategy<Value = Action> {
    let contents = [Content::Holds, Content::Ones, Content::Differs, Content::Any];
    let fates = [Fate::Lands, Fate::Faults, Fate::Lost, Fate::Either];
    let dma = (name(), place(), 1..1025_u64, any::<Option<u32>>()).boxed();
    prop_oneof![
        (place(), 1..5000_u64, any::<u32>(), 0..4_usize)
            .prop_map(|(to, words, pattern, vcpu)| { Action::Fill { to, size: 4 * words, pattern, vcpu } }),
        (place(), 1..5000_u64, any::<u32>(), 0..4_usize, pick(&contents)).prop_map(
            |(at, words, pattern, vcpu, expect)| {
                Action::Verify { at, size: 4 * words, pattern, vcpu, expect }
            }
        ),
        (dma.clone(), pick(&fates)).prop_map(|((engine, to, words, pattern), expect)| {
            Action::Dma { engine, to, size: 4 * words, pattern, expect }
        }),
        dma.clone().prop_map(|(engine, to, words, pattern)| {
            Action::DmaPrepare { engine, to, size: 4 * words, pattern }
        }),
        dma.prop_map(|(engine, to, words, pattern)| {
            Action::DmaStart { engine, to, size: 4 * words, pattern }
        }),
        (name(), pick(&fates)).prop_map(|(engine, expect)| Action::DmaFinish { engine, expect }),
        (place(), 0..4_usize, prop::option::of(name())).prop_map(|(at, vcpu, engine)| Action::Watch {
            at,
            vcpu,
            engine
        }),
        (0..4_usize, pick(&[Sight::Ones, Sight::Nothing, Sight::Any]))
            .prop_map(|(vcpu, expect)| Action::Watched { vcpu, expect }),
        (place(), 0..4_usize, lapse()).prop_map(|(at, vcpu, pause)| Action::Hammer { at, vcpu, pause }),
        (place(), lapse(), any::<bool>(), name())
            .prop_map(|(to, after, background, expect)| { Action::Attach { to, after, background, expect } }),
    ]
}

fn register() -> impl Strategy<Value = Register> {
    use Register::{AfControl, Command, DeviceControl, Pmcsr};
    prop_oneof![Just(Command), Just(DeviceControl), Just(AfControl), Just(Pmcsr)]
}

fn events() -> impl Strategy<Value = Action> {
    let config = prop_oneof![
        (name(), register(), 0..9_u16, 0..9_u16, 0..4_usize, any::<bool>()).prop_map(
            |(device, register, set, clear, vcpu, background)| Action::ConfigWrite {
                device,
                register,
                set,
                clear,
                vcpu,
                background
            }
        ),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::Flr {
            device,
            vcpu,
            background
        }),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::AfFlr {
            device,
            vcpu,
            background
        }),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::DecodeOff {
            device,
            vcpu,
            background
        }),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::DecodeOn {
            device,
            vcpu,
            background
        }),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::D3hot {
            device,
            vcpu,
            background
        }),
        (name(), 0..4_usize, any::<bool>()).prop_map(|(device, vcpu, background)| Action::D0 {
            device,
            vcpu,
            background
        }),
        (name(), 0..6_u8, 0..4_usize).prop_map(|(device, bar, vcpu)| Action::BarMove { device, bar, vcpu }),
    ];
    let vmm = prop_oneof![
        (name(), name()).prop_map(|(device, expect)| Action::DeviceReset { device, expect }),
        (name(), name()).prop_map(|(device, expect)| Action::HotReset { device, expect }),
        (name(), any::<bool>(), name()).prop_map(|(device, wakes, expect)| Action::LowPowerEntry {
            device,
            wakes,
            expect
        }),
        (name(), name()).prop_map(|(device, expect)| Action::LowPowerExit { device, expect }),
        name().prop_map(|device| Action::Close { device }),
        name().prop_map(|device| Action::Suspect { device }),
        name().prop_map(|device| Action::Release { device }),
        lapse().prop_map(|time| Action::Linger { time }),
    ];
    prop_oneof![config, vmm]
}

fn outside() -> impl Strategy<Value = Action> {
    let releases = [Release::AtOnce, Release::Later];
    let holds = [Hold::Duplicate, Hold::Mapping, Hold::Passed, Hold::Kvm, Hold::Inherited, Hold::Reopened];
    let unseen = [Unseen::DecodeOff, Unseen::D3hot, Unseen::D0, Unseen::Flr, Unseen::HotReset];
    prop_oneof![
        (name(), pick(&releases), prop::option::of(name()), any::<bool>()).prop_map(
            |(device, release, functions_of, unbind)| {
                let unbind = unbind && functions_of.is_none();
                Action::Remove { device, release, functions_of, unbind }
            }
        ),
        name().prop_map(|device| Action::Removed { device }),
        (name(), any::<bool>()).prop_map(|(device, present)| Action::ResetMethods { device, present }),
        (name(), name()).prop_map(|(device, expect)| Action::SysfsReset { device, expect }),
        (name(), pick(&holds), name()).prop_map(|(device, what, expect)| Action::Hold {
            device,
            what,
            bar: None,
            offset: 0,
            expect
        }),
        (name(), prop::option::of(pick(&holds)), 0..6_u8, 0..1_u64 << 40)
            .prop_map(|(device, what, bar, offset)| Action::LetGo { device, what, bar: Some(bar), offset }),
        second(),
        importer(),
        Just(Action::KillVmm),
        (name(), name()).prop_map(|(device, expect)| Action::SignalError { device, expect }),
        (name(), pick(&[Severity::Nonfatal, Severity::Fatal]), name())
            .prop_map(|(device, severity, expect)| Action::InjectError { device, severity, expect }),
        (name(), pick(&unseen)).prop_map(|(device, what)| Action::Unseen {
            device,
            what,
            bar: None,
            offset: 0,
            expect: "ok".into()
        }),
        (name(), 0..6_u8, 0..1_u64 << 40).prop_map(|(device, bar, offset)| Action::Unseen {
            device,
            what: Unseen::Unmap,
            bar: Some(bar),
            offset,
            expect: "ENOENT".into()
        }),
        (lapse(), 0..4_usize, pick(&[Purpose::Itself, Purpose::FaultLog]))
            .prop_map(|(time, vcpu, purpose)| Action::Sleep { time, vcpu, purpose }),
        (lapse(), 0..4_usize).prop_map(|(time, vcpu)| Action::Idle { time, vcpu }),
        (1..4_usize, 0..1_u64 << 40).prop_map(|(vcpus, accesses)| Action::Scribble { vcpus, accesses }),
        (0..1_u64 << 40).prop_map(|answered| Action::HammerStop { answered }),
    ]
}

fn second() -> impl Strategy<Value = Action> {
    let steps = [Second::Import, Second::Unmap, Second::Drop, Second::DmaStart, Second::End, Second::Kill];
    let here = |mut place: Place| {
        (place.moved_from, place.offset) = (false, place.offset & !3);
        place
    };
    prop_oneof![
        (place(), prop::option::of(name())).prop_map(move |(of, engine)| Action::Second {
            what: Second::Start,
            of: Some(here(of)),
            engine,
            expect: "ok".into()
        }),
        pick(&steps).prop_map(|what| Action::Second { what, of: None, engine: None, expect: "any".into() }),
        pick(&[Second::Dma, Second::DmaFinish]).prop_map(|what| Action::Second {
            what,
            of: None,
            engine: None,
            expect: "lost".into()
        }),
    ]
}

fn importer() -> impl Strategy<Value = Action> {
    let told = [
        Importing::Map,
        Importing::Use,
        Importing::Unmap,
        Importing::Pin,
        Importing::Unpin,
        Importing::Detach,
    ];
    let importer = |what, of, engine, hold, expect: &str| {
        let expect = expect.to_owned();
        Action::Importer { what, of, engine, hold, expect }
    };
    prop_oneof![
        (place(), name(), 0..60_000_u64).prop_map(move |(mut of, engine, hold)| {
            (of.moved_from, of.offset) = (false, of.offset & !3);
            let hold = Lapse::from(Duration::from_millis(hold));
            importer(Importing::Attach, Some(of), Some(engine), hold, "ok")
        }),
        pick(&told).prop_map(move |what| importer(what, None, None, Lapse::default(), "ENODEV")),
        pick(&[Importing::Dma, Importing::DmaFinish]).prop_map(move |what| importer(
            what,
            None,
            None,
            Lapse::default(),
            "faults"
        )),
    ]
}

/// What another thread does while something else goes on.
fn meanwhile() -> impl Strategy<Value = Action> {
    let action = prop_oneof![
        (name(), name()).prop_map(|(device, expect)| Action::DeviceReset { device, expect }),
        name().prop_map(|device| Action::Close { device }),
        (place(), lapse(), name()).prop_map(|(to, after, expect)| {
            let background = false;
            Action::Attach { to, after, background, expect }
        }),
    ];
    (lapse(), action).prop_map(|(after, action)| Action::Meanwhile { after, action: Box::new(action) })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let beside = prop_oneof![meanwhile(), Just(Action::Join), Just(Action::Reboot)];
    let single = prop_oneof![accesses(), events(), outside(), beside];
    let action = single.prop_recursive(2, 12, 4, |inner| {
        (0..20_u64, prop::collection::vec(inner, 0..4))
            .prop_map(|(times, actions)| Action::Repeat { times, actions })
    });
    prop::collection::vec(action, 0..8)
}

pub fn scenario() -> impl Strategy<Value = Scenario> {
    let guest = (4..65_u16, 0..1_u64 << 40, pick(&[Spaces::Shared, Spaces::Each]))
        .prop_map(|(vcpus, memory, spaces)| Guest { vcpus, memory: Size(memory), spaces });
    (name(), prop::option::of(name()), guest, actions()).prop_map(|(name, topology, guest, actions)| {
        let (seed, simulated, perturb, storm) = (None, BTreeMap::new(), Perturb::default(), None);
        Scenario { version: VERSION, name, topology, seed, guest, simulated, perturb, storm, actions }
    })
}
