// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a served probe can be asked to do.

use thiserror::Error;

use crate::mailbox as mb;

/// Bytes of a single access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// 1 byte.
    One,
    /// 2 bytes.
    Two,
    /// 4 bytes.
    Four,
    /// 8 bytes.
    Eight,
}

impl Width {
    /// As a number of bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// What a read of this width gives where nobody answers.
    pub const fn all_ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

impl TryFrom<u64> for Width {
    type Error = NotACommand;

    fn try_from(bytes: u64) -> Result<Self, NotACommand> {
        match bytes {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            8 => Ok(Self::Eight),
            _ => Err(NotACommand::Width(bytes)),
        }
    }
}

/// Which way edu's DMA engine moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DmaDirection {
    /// From an address on the bus into edu's buffer.
    FromMemory,
    /// From edu's buffer to an address on the bus, which may be a peer's BAR.
    ToMemory,
}

/// One request to one vCPU. Addresses are guest physical, the probe mapping them one to one;
/// lengths are in bytes.
///
/// Config space needs no command of its own: ECAM is memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Answers with [`crate::Reply::Value`].
    Echo {
        /// What to say back.
        value: u64,
    },
    /// How many vCPUs are up; answers with [`crate::Reply::Cpus`].
    Cpus,
    /// One read; answers with [`crate::Reply::Value`].
    Read {
        /// Aligned to the width.
        address: u64,
        /// Bytes of the access.
        width: Width,
    },
    /// One write.
    Write {
        /// Aligned to the width.
        address: u64,
        /// Bytes of the access.
        width: Width,
        /// Cut to the width.
        value: u64,
    },
    /// Writes `u32` words: word `k` becomes [`pattern_word`]`(pattern, step, k)`.
    Fill {
        /// A multiple of 4.
        address: u64,
        /// Bytes, a multiple of 4.
        length: u64,
        /// The first word.
        pattern: u32,
        /// From each word to the next; 0 makes them all the same.
        step: u32,
    },
    /// Compares `u32` words with what Fill writes; answers with [`crate::Reply::Verified`].
    Verify {
        /// A multiple of 4.
        address: u64,
        /// Bytes, a multiple of 4.
        length: u64,
        /// The first word.
        pattern: u32,
        /// From each word to the next.
        step: u32,
    },
    /// Copies upwards, `u32` by `u32`.
    Copy {
        /// Where from; a multiple of 4.
        from: u64,
        /// Where to; a multiple of 4.
        to: u64,
        /// Bytes, a multiple of 4.
        length: u64,
    },
    /// Programs edu's DMA engine and returns at once.
    EduStart {
        /// Address of edu's BAR 0.
        edu_bar: u64,
        /// Where from, as the device sees it; edu's own buffer is at [`EDU_BUFFER`].
        source: u64,
        /// Where to, as the device sees it.
        destination: u64,
        /// Bytes, at most [`EDU_BUFFER_BYTES`].
        length: u64,
        /// Which of the two ends is edu's buffer.
        direction: DmaDirection,
    },
    /// One look whether edu's DMA is done; answers with [`crate::Reply::Busy`].
    EduBusy {
        /// Address of edu's BAR 0.
        edu_bar: u64,
    },
    /// Sleeps, halted, until edu's DMA is done, looking after a millisecond and then ever less
    /// often, at least every 16 ms; answers with [`crate::Reply::Waited`].
    EduWait {
        /// Address of edu's BAR 0.
        edu_bar: u64,
        /// Nanoseconds of sleep after which to give up; one look is always taken.
        max_ns: u64,
    },
    /// Sleeps, halted.
    Sleep {
        /// Nanoseconds.
        ns: u64,
    },
    /// Writes and reads back a page of a BAR, on and on, judging each answer by what the outage
    /// word said just before and just after; answers with [`crate::Reply::Hammered`].
    ///
    /// Iteration `i` writes `i` as a `u32`. No one else may write the page meanwhile.
    Hammer {
        /// A page of a BAR; a multiple of 4096.
        page: u64,
        /// Address of a `u64` in RAM that the VMM keeps at [`mb::outage_word`]: closing from
        /// before the first withdrawal, out from after the last one, opening from before the
        /// first return, live (of the next generation) from after the last one.
        outage_word: u64,
        /// Address of a `u64` in RAM that ends the loop once it is not 0; 0 if there is none.
        stop_word: u64,
        /// Nanoseconds to sleep after each iteration; 0 for none.
        pause_ns: u64,
        /// The most iterations; 0 for [`mb::HAMMER_MOST_ITERATIONS`].
        max_iterations: u64,
        /// What a cell holds after a reset of the device that lost its content.
        reset_value: u32,
        /// In which order the page's cells are visited.
        seed: u64,
    },
    /// Waits, halted between looks, until a window is out; then reads inside the outage and rings a
    /// bell; answers with [`crate::Reply::Watched`].
    Watch {
        /// Address of the window's outage word, as [`Command::Hammer`] has it.
        outage_word: u64,
        /// What is read, a `u32`; a multiple of 4.
        address: u64,
        /// Address of a `u32` that is written after the read; 0 if there is none.
        bell: u64,
        /// What is written there.
        bell_value: u32,
        /// Address of a `u64` in RAM that ends the wait once it is not 0; 0 if there is none.
        stop_word: u64,
        /// Nanoseconds between two looks; not 0.
        pause_ns: u64,
        /// Nanoseconds after which to give up; one look is always taken.
        max_ns: u64,
    },
    /// Reads and writes places of a list at random, in all widths and alignments, now and then by the
    /// ports of configuration mechanism #1, in proper and in odd ways; answers with
    /// [`crate::Reply::Scribbled`].
    Scribble {
        /// Address of pairs of `u64` in RAM; a multiple of 8. The first is a place, at least 16 bytes below
        /// 4 GiB: an access begins up to 7 bytes behind it. The second is what is written there now and
        /// then. A place that stands there more often is met more often.
        table: u64,
        /// How many there are, [`mb::SCRIBBLE_MOST_PLACES`] at the most.
        entries: u64,
        /// Accesses.
        accesses: u64,
        /// What they are drawn from.
        seed: u64,
        /// Where ECAM is, so that a place in it has ports, too; 0 for no ports.
        ecam: u64,
        /// Address of a `u64` in RAM that ends it once it is not 0; 0 if there is none.
        stop_word: u64,
    },
    /// Stops this vCPU for good: halted, interrupts off, no reply.
    Halt,
    /// Executes an undefined instruction: always ends as [`crate::Refusal::Exception`].
    Trap,
}

/// Where edu's own buffer lies in the addresses its DMA engine is given.
pub const EDU_BUFFER: u64 = 0x40000;
/// Bytes of that buffer.
pub const EDU_BUFFER_BYTES: u64 = 4096;

/// Word `k` of what [`Command::Fill`] writes and [`Command::Verify`] expects.
pub const fn pattern_word(pattern: u32, step: u32, k: u32) -> u32 {
    pattern.wrapping_add(step.wrapping_mul(k))
}

/// Words that no [`Command::encode`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotACommand {
    /// No command has this opcode.
    #[error("{0} is no opcode")]
    Opcode(u64),
    /// An access of this many bytes there is not.
    #[error("an access cannot be {0} bytes wide")]
    Width(u64),
    /// Neither direction.
    #[error("{0} is no direction")]
    Direction(u64),
    /// More than 32 bits where a `u32` belongs.
    #[error("{0:#x} does not fit into 32 bits")]
    TooLarge(u64),
}

fn request<const N: usize>(opcode: u64, arguments: [u64; N]) -> [u64; mb::MAILBOX_REQUEST_WORDS] {
    let mut words = [0; mb::MAILBOX_REQUEST_WORDS];
    words[0] = opcode;
    words[1..=N].copy_from_slice(&arguments);
    words
}

fn word32(value: u64) -> Result<u32, NotACommand> {
    u32::try_from(value).map_err(|_| NotACommand::TooLarge(value))
}

fn direction(value: u64) -> Result<DmaDirection, NotACommand> {
    match value {
        mb::EDU_FROM_MEMORY => Ok(DmaDirection::FromMemory),
        mb::EDU_TO_MEMORY => Ok(DmaDirection::ToMemory),
        _ => Err(NotACommand::Direction(value)),
    }
}

impl Command {
    /// The words of the request, to be put at [`mb::request_address`].
    pub fn encode(&self) -> [u64; mb::MAILBOX_REQUEST_WORDS] {
        match *self {
            Self::Echo { value } => request(mb::OP_ECHO, [value]),
            Self::Cpus => request(mb::OP_CPUS, []),
            Self::Read { address, width } => request(mb::OP_READ, [address, width.bytes()]),
            Self::Write { address, width, value } => request(mb::OP_WRITE, [address, width.bytes(), value]),
            Self::Fill { address, length, pattern, step } => {
                request(mb::OP_FILL, [address, length, pattern.into(), step.into()])
            }
            Self::Verify { address, length, pattern, step } => {
                request(mb::OP_VERIFY, [address, length, pattern.into(), step.into()])
            }
            Self::Copy { from, to, length } => request(mb::OP_COPY, [from, to, length]),
            Self::EduStart { edu_bar, source, destination, length, direction } => {
                let direction = match direction {
                    DmaDirection::FromMemory => mb::EDU_FROM_MEMORY,
                    DmaDirection::ToMemory => mb::EDU_TO_MEMORY,
                };
                request(mb::OP_EDU_START, [edu_bar, source, destination, length, direction])
            }
            Self::EduBusy { edu_bar } => request(mb::OP_EDU_BUSY, [edu_bar]),
            Self::EduWait { edu_bar, max_ns } => request(mb::OP_EDU_WAIT, [edu_bar, max_ns]),
            Self::Sleep { ns } => request(mb::OP_SLEEP, [ns]),
            Self::Hammer {
                page,
                outage_word: outage,
                stop_word: stop,
                pause_ns: pause,
                max_iterations: most,
                reset_value,
                seed,
            } => request(mb::OP_HAMMER, [page, outage, stop, pause, most, reset_value.into(), seed]),
            Self::Watch {
                outage_word: outage,
                address,
                bell,
                bell_value,
                stop_word: stop,
                pause_ns: pause,
                max_ns: most,
            } => request(mb::OP_WATCH, [outage, address, bell, bell_value.into(), stop, pause, most]),
            Self::Scribble { table, entries, accesses, seed, ecam, stop_word } => {
                request(mb::OP_SCRIBBLE, [table, entries, accesses, seed, ecam, stop_word])
            }
            Self::Halt => request(mb::OP_HALT, []),
            Self::Trap => request(mb::OP_TRAP, []),
        }
    }

    /// The command a request stands for.
    pub fn decode(words: &[u64; mb::MAILBOX_REQUEST_WORDS]) -> Result<Self, NotACommand> {
        let [opcode, a, b, c, d, e, f, g] = *words;
        Ok(match opcode {
            mb::OP_ECHO => Self::Echo { value: a },
            mb::OP_CPUS => Self::Cpus,
            mb::OP_READ => Self::Read { address: a, width: b.try_into()? },
            mb::OP_WRITE => Self::Write { address: a, width: b.try_into()?, value: c },
            mb::OP_FILL => Self::Fill { address: a, length: b, pattern: word32(c)?, step: word32(d)? },
            mb::OP_VERIFY => Self::Verify { address: a, length: b, pattern: word32(c)?, step: word32(d)? },
            mb::OP_COPY => Self::Copy { from: a, to: b, length: c },
            mb::OP_EDU_START => {
                Self::EduStart { edu_bar: a, source: b, destination: c, length: d, direction: direction(e)? }
            }
            mb::OP_EDU_BUSY => Self::EduBusy { edu_bar: a },
            mb::OP_EDU_WAIT => Self::EduWait { edu_bar: a, max_ns: b },
            mb::OP_SLEEP => Self::Sleep { ns: a },
            mb::OP_HAMMER => Self::Hammer {
                page: a,
                outage_word: b,
                stop_word: c,
                pause_ns: d,
                max_iterations: e,
                reset_value: word32(f)?,
                seed: g,
            },
            mb::OP_WATCH => Self::Watch {
                outage_word: a,
                address: b,
                bell: c,
                bell_value: word32(d)?,
                stop_word: e,
                pause_ns: f,
                max_ns: g,
            },
            mb::OP_SCRIBBLE => {
                Self::Scribble { table: a, entries: b, accesses: c, seed: d, ecam: e, stop_word: f }
            }
            mb::OP_HALT => Self::Halt,
            mb::OP_TRAP => Self::Trap,
            _ => return Err(NotACommand::Opcode(opcode)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn width() -> impl Strategy<Value = Width> {
        prop::sample::select(vec![Width::One, Width::Two, Width::Four, Width::Eight])
    }

    fn small_commands() -> impl Strategy<Value = Command> {
        prop_oneof![
            any::<u64>().prop_map(|value| Command::Echo { value }),
            Just(Command::Cpus),
            Just(Command::Halt),
            Just(Command::Trap),
            (any::<u64>(), width()).prop_map(|(address, width)| Command::Read { address, width }),
            (any::<u64>(), width(), any::<u64>()).prop_map(|(address, width, value)| Command::Write {
                address,
                width,
                value
            }),
            any::<u64>().prop_map(|edu_bar| Command::EduBusy { edu_bar }),
            any::<[u64; 2]>().prop_map(|[edu_bar, max_ns]| Command::EduWait { edu_bar, max_ns }),
            any::<u64>().prop_map(|ns| Command::Sleep { ns }),
        ]
    }

    fn large_commands() -> impl Strategy<Value = Command> {
        prop_oneof![
            any::<(u64, u64, u32, u32)>().prop_map(|(address, length, pattern, step)| {
                Command::Fill { address, length, pattern, step }
            }),
            any::<(u64, u64, u32, u32)>().prop_map(|(address, length, pattern, step)| {
                Command::Verify { address, length, pattern, step }
            }),
            any::<[u64; 3]>().prop_map(|[from, to, length]| Command::Copy { from, to, length }),
            any::<([u64; 4], bool)>().prop_map(|([edu_bar, source, destination, length], out)| {
                let direction = if out { DmaDirection::ToMemory } else { DmaDirection::FromMemory };
                Command::EduStart { edu_bar, source, destination, length, direction }
            }),
            any::<([u64; 6], u32)>().prop_map(|(w, reset_value)| Command::Hammer {
                page: w[0],
                outage_word: w[1],
                stop_word: w[2],
                pause_ns: w[3],
                max_iterations: w[4],
                reset_value,
                seed: w[5],
            }),
            any::<[u64; 6]>().prop_map(|[table, entries, accesses, seed, ecam, stop_word]| {
                Command::Scribble { table, entries, accesses, seed, ecam, stop_word }
            }),
            any::<([u64; 6], u32)>().prop_map(|(w, bell_value)| Command::Watch {
                outage_word: w[0],
                address: w[1],
                bell: w[2],
                bell_value,
                stop_word: w[3],
                pause_ns: w[4],
                max_ns: w[5],
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes(command in prop_oneof![small_commands(), large_commands()]) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }

        #[test]
        fn no_words_make_decode_panic(words in any::<[u64; 8]>(), opcode in 0_u64..18) {
            let _ = Command::decode(&words);
            let mut likely = words;
            likely[0] = opcode;
            if let Ok(command) = Command::decode(&likely) {
                prop_assert_eq!(command.encode()[0], opcode);
            }
        }
    }

    #[test]
    fn words_that_are_no_command_are_named() {
        let words = |opcode, b| [opcode, 0, b, 1 << 32, 0, 7, 0, 0];
        assert_eq!(Command::decode(&words(99, 0)), Err(NotACommand::Opcode(99)));
        assert_eq!(Command::decode(&words(mb::OP_READ, 3)), Err(NotACommand::Width(3)));
        assert_eq!(Command::decode(&words(mb::OP_FILL, 0)), Err(NotACommand::TooLarge(1 << 32)));
        assert_eq!(Command::decode(&words(mb::OP_EDU_START, 0)), Err(NotACommand::Direction(7)));
    }

    #[test]
    fn all_ones_by_width() {
        assert_eq!(Width::One.all_ones(), 0xFF);
        assert_eq!(Width::Eight.all_ones(), u64::MAX);
    }
}
