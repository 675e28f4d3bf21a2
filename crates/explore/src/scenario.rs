//! What is explored: machines, set-ups, and what may happen in each.

use crate::action::{Action, Import, Outside, Write};
use crate::machine::{Kind, TWO_ALIKE};
use crate::thread::OUTSIDER;
use barkeep_export::LowPower;
use barkeep_model::kernel::OnInvalidate;
use std::fmt;

macro_rules! scenarios {
    ($($name:ident, $word:literal, $depth:literal, $what:literal;)+) => {
        /// A set-up, and what may happen in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scenario {
            $(#[doc = $what] $name,)+
        }

        impl Scenario {
            /// All, in the order in which they are explored.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What the command line calls it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it is about.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }

            /// Actions to which it is explored if nothing else is said.
            #[must_use]
            pub fn depth(self) -> usize {
                match self { $(Self::$name => $depth,)+ }
            }
        }
    };
}

scenarios! {
    Pair, "pair", 12, "two devices alike, each other's peers; whatever the guest and the VMM do to them";
    Moving, "moving", 12, "BARs that the guest moves, sizes and switches off";
    VirtualFunction, "virtual-function", 12, "a virtual function beside an ordinary one";
    Stubborn, "stubborn", 12, "a function that cannot be put into D3hot";
    FailingResets, "failing-resets", 12, "resets that fail: the methods are taken out meanwhile";
    TwoWindows, "two-windows", 12, "a BAR exported as two windows, and a peer";
    TwoCpus, "two-cpus", 12, "two vCPUs that write to the same function's config space";
    Unseen, "unseen", 3, "somebody else who holds a device's file, past the keeper, and suspicions";
    HotReset, "hot-reset", 3, "a hot reset from outside that takes the sibling along";
    LowPower, "low-power", 12, "LOW_POWER_ENTRY and EXIT from outside";
    Asleep, "asleep", 12, "the VMM's own LOW_POWER_ENTRY and EXIT, whatever the guest writes meanwhile";
    Importers, "importers", 12, "other importers: MAP_FILE and COPY into a second space, and one of the general kind";
    InTheWay, "in-the-way", 12, "a second MAP_FILE into the VMM's own space, at the VMM's own IOVA";
    Holder, "holder", 12, "an importer that never unmaps";
    Endings, "endings", 4, "closes, dma-bufs closed first, removals, racing with triggers";
    All, "all", 2, "whatever the guest, the VMM and somebody outside do, on two devices of one set";
}

impl Scenario {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scenario| scenario.name() == name)
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::VirtualFunction => Kind { virtual_function: true, ..TWO_ALIKE },
            Self::Stubborn => Kind { no_d3: true, ..TWO_ALIKE },
            Self::HotReset | Self::All => Kind { one_set: true, ..TWO_ALIKE },
            Self::TwoWindows => Kind { windows: [2, 1], ..TWO_ALIKE },
            Self::Pair
            | Self::Moving
            | Self::FailingResets
            | Self::TwoCpus
            | Self::Unseen
            | Self::LowPower
            | Self::Asleep
            | Self::Importers
            | Self::InTheWay
            | Self::Holder
            | Self::Endings => TWO_ALIKE,
        }
    }

    /// Whether the devices can be exchanged without a difference.
    pub(crate) fn symmetric(self) -> bool {
        match self {
            Self::Pair | Self::Moving | Self::Unseen | Self::Endings => true,
            // Different devices, different things done to them, or an order among them.
            Self::VirtualFunction
            | Self::Stubborn
            | Self::FailingResets
            | Self::TwoWindows
            | Self::TwoCpus
            | Self::HotReset
            | Self::LowPower
            | Self::Asleep
            | Self::Importers
            | Self::InTheWay
            | Self::Holder
            | Self::All => false,
        }
    }

    /// Whether registers can change under a thread that reads them or has just written them.
    pub(crate) fn shares_registers(self) -> bool {
        match self {
            Self::TwoCpus | Self::Unseen | Self::HotReset | Self::LowPower | Self::All => true,
            Self::Pair
            | Self::Moving
            | Self::VirtualFunction
            | Self::Stubborn
            | Self::FailingResets
            | Self::TwoWindows
            | Self::Asleep
            | Self::Importers
            | Self::InTheWay
            | Self::Holder
            | Self::Endings => false,
        }
    }

    /// Devices whose file somebody else has open too.
    pub(crate) fn shared(self) -> [bool; 2] {
        match self {
            Self::Unseen | Self::HotReset | Self::Endings | Self::All => [true, true],
            Self::LowPower => [true, false],
            _ => [false, false],
        }
    }

    /// The general importer, attached to A's dma-buf.
    pub(crate) fn importer(self) -> Option<OnInvalidate> {
        match self {
            Self::Importers => Some(OnInvalidate::Remap),
            Self::Holder => Some(OnInvalidate::Hold),
            _ => None,
        }
    }

    /// The spaces the devices are attached to. The VMM maps everything into the first.
    pub(crate) fn spaces(self) -> [usize; 2] {
        if self == Self::Importers { [0, 1] } else { [0, 0] }
    }

    /// What may happen: on which thread, to which device, what.
    pub(crate) fn actions(self) -> Vec<(usize, usize, Action)> {
        use Action::{Close, CloseBuffer, Reset, Suspect};
        use Write::{AfFlr, D0, D3hot, DecodeOff, DecodeOn, Flr, Move};
        let mut list = List::default();
        match self {
            Self::Pair => list
                .on_both(&[DecodeOff, DecodeOn, Flr, AfFlr, D3hot, D0].map(Action::Guest))
                .on_both(&[Reset, Suspect, Close]),
            Self::Moving => list
                .on_both(&[Move(0), Move(1), Move(2), DecodeOff, DecodeOn].map(Action::Guest))
                .on_both(&[Suspect]),
            Self::VirtualFunction | Self::Stubborn => list
                .on_both(&[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Reset, Suspect]),
            Self::FailingResets => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, AfFlr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Reset])
                .on(1, 1, &[Action::Guest(Flr)])
                .on(OUTSIDER, 0, &[false, true].map(|present| outside(Outside::Methods { present })))
                .on(OUTSIDER, 0, &[outside(Outside::SysfsReset)]),
            Self::TwoWindows => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, Move(1), Move(0)].map(Action::Guest))
                .on(0, 0, &[Reset, Suspect, CloseBuffer(1), Close])
                .on(1, 1, &[Flr].map(Action::Guest)),
            Self::TwoCpus => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0, Move(1)].map(Action::Guest))
                .on(1, 0, &[DecodeOff, DecodeOn, Flr, D0, Move(0)].map(Action::Guest))
                .on(1, 0, &[Reset, Suspect, CloseBuffer(0), Close]),
            Self::Unseen => list
                .on_both(&[Action::Guest(Flr), Action::Guest(DecodeOff), Action::Guest(DecodeOn), Suspect])
                .outside_both(&[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Outside::Write))
                .outside_both(&[Outside::Reset, Outside::SysfsReset]),
            Self::HotReset => list
                .on_both(&[Action::Guest(Flr), Action::Guest(DecodeOff), Action::Guest(DecodeOn)])
                .on_both(&[Suspect, Close])
                .on(OUTSIDER, 0, &[outside(Outside::HotReset)])
                .on(OUTSIDER, 1, &[outside(Outside::HotReset), outside(Outside::SysfsReset)]),
            Self::LowPower => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Suspect, Reset])
                .on(1, 1, &[Action::Guest(Flr)])
                .on(OUTSIDER, 0, &[false, true].map(|wakes| outside(Outside::LowPowerEntry { wakes })))
                .on(OUTSIDER, 0, &[outside(Outside::LowPowerExit)]),
            Self::Asleep => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0, Move(1)].map(Action::Guest))
                .on(0, 0, &[false, true].map(|wakes| Action::LowPower(LowPower::Entry { wakes })))
                .on(0, 0, &[Action::LowPower(LowPower::Exit), Reset, Suspect, Close])
                .on(1, 1, &[Action::Guest(Flr)]),
            Self::Importers => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Reset, Close, CloseBuffer(0)])
                .on(1, 1, &[Action::Guest(Flr)])
                .on(OUTSIDER, 0, &[Import::MapElsewhere, Import::UnmapElsewhere].map(Action::Import))
                .on(OUTSIDER, 0, &[Import::CopyElsewhere, Import::MapAttachment].map(Action::Import))
                .on(OUTSIDER, 0, &[Import::UnmapAttachment, Import::Detach].map(Action::Import)),
            Self::InTheWay => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Reset, Suspect])
                .on(1, 1, &[Action::Guest(Flr)])
                .on(OUTSIDER, 0, &[Action::Import(Import::MapInTheWay)]),
            Self::Holder => list
                .on(0, 0, &[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Action::Guest))
                .on(0, 0, &[Reset, Close])
                .on(1, 1, &[Action::Guest(Flr), Suspect])
                .on(OUTSIDER, 0, &[Import::MapAttachment, Import::UnmapAttachment].map(Action::Import)),
            Self::Endings => list
                .on_both(&[Action::Guest(Flr), Action::Guest(DecodeOff), Close, CloseBuffer(0)])
                .outside_both(&[Outside::Remove, Outside::CloseFile])
                .outside_both(&[Outside::Write(Flr)]),
            Self::All => list
                .on_both(&[DecodeOff, DecodeOn, Flr, AfFlr, D3hot, D0, Move(0), Move(1)].map(Action::Guest))
                .on_both(&[Reset, Suspect, Close, CloseBuffer(0)])
                .outside_both(&[DecodeOff, DecodeOn, Flr, D3hot, D0].map(Outside::Write))
                .outside_both(&[Outside::Reset, Outside::HotReset, Outside::SysfsReset])
                .outside_both(&[false, true].map(|present| Outside::Methods { present }))
                .outside_both(&[false, true].map(|wakes| Outside::LowPowerEntry { wakes }))
                .outside_both(&[Outside::LowPowerExit, Outside::Remove, Outside::CloseFile]),
        };
        list.0
    }
}

#[derive(Default)]
struct List(Vec<(usize, usize, Action)>);

impl List {
    fn on(&mut self, thread: usize, device: usize, actions: &[Action]) -> &mut Self {
        self.0.extend(actions.iter().map(|action| (thread, device, *action)));
        self
    }

    /// Each device on a vCPU of its own.
    fn on_both(&mut self, actions: &[Action]) -> &mut Self {
        self.on(0, 0, actions).on(1, 1, actions)
    }

    fn outside_both(&mut self, actions: &[Outside]) -> &mut Self {
        for device in 0..2 {
            self.0.extend(actions.iter().map(|action| (OUTSIDER, device, outside(*action))));
        }
        self
    }
}

fn outside(what: Outside) -> Action {
    Action::Outside(what)
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
