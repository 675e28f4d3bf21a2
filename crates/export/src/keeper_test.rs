use super::*;
use barkeep_journal::Trigger;
use barkeep_pci::write::ConfigWrite;
use proptest::prelude::*;

const WINDOW: Window = Window { bar: 2, offset: 0, size: 0x100_0000, p2p: true };
const HERE: u64 = 0xe000_0000;

fn found(decode: bool) -> Result<Found, Errno> {
    Ok(Found { decode, power: 0, low_power: false, addresses: vec![Some(HERE)] })
}

fn config(trigger: Trigger, revokes: bool) -> Cause {
    Cause { trigger, passage: Passage::ConfigWrite(ConfigWrite::word(4, 0)), revokes, resets: false }
}

/// Drives one event with every step succeeding; gives the names of the steps.
fn drive(keeper: &mut Keeper, cause: Cause, now: Result<Found, Errno>) -> Vec<Step> {
    keeper.begin(cause);
    let mut steps = Vec::new();
    while let Some(step) = keeper.next_step() {
        steps.push(step);
        keeper.done(match step {
            Step::FindOut => StepResult::Found(now.clone()),
            _ => StepResult::Done(Ok(())),
        });
    }
    steps
}

fn started() -> Keeper {
    let mut keeper = Keeper::new(&[WINDOW]);
    drive(&mut keeper, Cause::START, found(true));
    keeper
}

#[test]
fn the_first_mapping_comes_before_the_first_slot() {
    let mut keeper = Keeper::new(&[WINDOW]);
    assert_eq!(
        drive(&mut keeper, Cause::START, found(true)),
        [
            Step::FindOut,
            Step::MakeMapping { window: 0, address: HERE },
            Step::PutBackSlot { window: 0, address: HERE }
        ]
    );
}

#[test]
fn a_bare_flr_takes_both_away_and_brings_both_back() {
    let mut keeper = started();
    assert_eq!(
        drive(&mut keeper, config(Trigger::Flr, true), found(true)),
        [
            Step::WithdrawSlot { window: 0, address: HERE },
            Step::LetThrough,
            Step::FindOut,
            Step::DropMapping { window: 0, address: HERE },
            Step::MakeMapping { window: 0, address: HERE },
            Step::PutBackSlot { window: 0, address: HERE },
        ]
    );
}

#[test]
fn nothing_is_mapped_while_decode_is_off() {
    let mut keeper = started();
    let off = drive(&mut keeper, config(Trigger::DecodeOff, true), found(false));
    assert!(!off.iter().any(|s| matches!(s, Step::MakeMapping { .. } | Step::PutBackSlot { .. })));
    assert_eq!(keeper.windows()[0].mapping, Mapping::None);
    let on = drive(&mut keeper, config(Trigger::DecodeOn, false), found(true));
    assert_eq!(on.len(), 4, "{on:?}");
    assert_eq!(keeper.windows()[0].mapping, Mapping::Live(HERE));
}

#[test]
fn d3hot_counts_as_not_decoding() {
    let mut keeper = started();
    let asleep = Ok(Found { decode: true, power: 3, low_power: false, addresses: vec![Some(HERE)] });
    drive(&mut keeper, config(Trigger::D3hot, true), asleep);
    assert_eq!((keeper.windows()[0].slot, keeper.windows()[0].mapping), (Slot::Out, Mapping::None));
}

#[test]
fn a_moved_bar_is_unmapped_where_it_was() {
    let mut keeper = started();
    let moved =
        Ok(Found { decode: true, power: 0, low_power: false, addresses: vec![Some(HERE + 0x1000_0000)] });
    let steps = drive(&mut keeper, config(Trigger::BarMove, false), moved);
    assert!(steps.contains(&Step::DropMapping { window: 0, address: HERE }));
    assert!(steps.contains(&Step::MakeMapping { window: 0, address: HERE + 0x1000_0000 }));
}

#[test]
fn a_mapping_nobody_remembered_is_cleared_once() {
    let mut keeper = Keeper::new(&[WINDOW]);
    keeper.begin(Cause::START);
    let (mut maps, mut unmaps) = (0, 0);
    while let Some(step) = keeper.next_step() {
        keeper.done(match step {
            Step::FindOut => StepResult::Found(found(true)),
            Step::MakeMapping { .. } => {
                maps += 1;
                StepResult::Done(Err(Errno::EXIST))
            }
            Step::DropMapping { .. } => {
                unmaps += 1;
                StepResult::Done(Ok(()))
            }
            _ => StepResult::Done(Ok(())),
        });
    }
    assert_eq!((maps, unmaps), (2, 1));
    assert_eq!(keeper.windows()[0].mapping, Mapping::Refused(Errno::EXIST));
}

#[test]
fn a_refused_mapping_is_tried_again_at_the_next_event() {
    let mut keeper = Keeper::new(&[WINDOW]);
    keeper.begin(Cause::START);
    while let Some(step) = keeper.next_step() {
        keeper.done(match step {
            Step::FindOut => StepResult::Found(found(true)),
            Step::MakeMapping { .. } => StepResult::Done(Err(Errno::NODEV)),
            _ => StepResult::Done(Ok(())),
        });
    }
    drive(&mut keeper, Cause::SUSPECT, found(true));
    assert_eq!(keeper.windows()[0].mapping, Mapping::Live(HERE));
}

#[test]
fn a_suspicion_that_proves_true_takes_the_slot_away() {
    let mut keeper = started();
    let steps = drive(&mut keeper, Cause::SUSPECT, found(false));
    assert!(steps.contains(&Step::WithdrawSlot { window: 0, address: HERE }), "{steps:?}");
    assert_eq!((keeper.windows()[0].slot, keeper.windows()[0].mapping), (Slot::Out, Mapping::None));
}

#[test]
fn after_the_close_nothing_comes_back() {
    let mut keeper = started();
    drive(&mut keeper, Cause::CLOSE, found(true));
    assert_eq!((keeper.windows()[0].slot, keeper.windows()[0].mapping), (Slot::Out, Mapping::None));
    assert!(keeper.closed());
    let later = drive(&mut keeper, Cause::SUSPECT, found(true));
    assert_eq!(later, [Step::FindOut]);
}

/// The kernel as far as the keeper's promise goes: what is mapped, and whether it is dead.
#[derive(Default)]
struct Kernel {
    decode: bool,
    slot: Option<u64>,
    mapping: Option<(u64, bool)>,
}

impl Kernel {
    fn perform(&mut self, step: Step, cause: Cause, decode_after: bool, at: u64) -> StepResult {
        StepResult::Done(match step {
            Step::WithdrawSlot { address, .. } => {
                assert_eq!(self.slot.take(), Some(address));
                Ok(())
            }
            Step::LetThrough => {
                assert_eq!(self.slot, None, "a slot stayed in over an event");
                if cause.revokes {
                    self.mapping = self.mapping.map(|(iova, _)| (iova, true));
                }
                self.decode = decode_after;
                Ok(())
            }
            Step::FindOut => {
                return StepResult::Found(Ok(Found {
                    decode: self.decode,
                    power: 0,
                    low_power: false,
                    addresses: vec![Some(at)],
                }));
            }
            Step::DropMapping { address, .. } => match self.mapping.take() {
                Some((iova, _)) => {
                    assert_eq!(iova, address);
                    Ok(())
                }
                None => Err(Errno::NOENT),
            },
            Step::MakeMapping { address, .. } => match self.mapping {
                _ if !self.decode => Err(Errno::NODEV),
                Some(_) => Err(Errno::EXIST),
                None => {
                    self.mapping = Some((address, false));
                    Ok(())
                }
            },
            Step::PutBackSlot { address, .. } => {
                assert!(
                    self.decode && self.mapping.is_some_and(|(_, dead)| !dead),
                    "the slot came before the mapping"
                );
                assert_eq!(self.slot.replace(address), None);
                Ok(())
            }
        })
    }
}

proptest! {
    /// Whatever the events, in whatever order: decoding means both are back and alive, not
    /// decoding means both are away.
    #[test]
    fn both_mappings_follow_the_decode(events in proptest::collection::vec((0usize..6, any::<bool>(), 0u64..3), 1..40)) {
        let mut keeper = Keeper::new(&[WINDOW]);
        let mut kernel = Kernel { decode: true, ..Kernel::default() };
        let mut at = HERE;
        for (n, (which, decode, place)) in events.into_iter().enumerate() {
            let cause = match which {
                _ if n == 0 => Cause::START,
                0 => config(Trigger::Flr, true),
                1 => config(if decode { Trigger::DecodeOn } else { Trigger::DecodeOff }, !decode),
                2 => Cause::DEVICE_RESET,
                3 => config(Trigger::D3hot, true),
                4 => Cause::SUSPECT,
                _ => { at = HERE + place * 0x1000_0000; config(Trigger::BarMove, false) }
            };
            let after = match cause.trigger { Trigger::DecodeOn => true, Trigger::DecodeOff => false, _ => kernel.decode };
            keeper.begin(cause);
            while let Some(step) = keeper.next_step() {
                let result = kernel.perform(step, cause, after, at);
                keeper.done(result);
            }
            prop_assert_eq!(kernel.slot, kernel.decode.then_some(at));
            prop_assert_eq!(kernel.mapping, kernel.decode.then_some((at, false)));
        }
    }
}
