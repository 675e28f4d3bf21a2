//! Linux's error numbers, the same on every machine this runs on.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! errnos {
    ($($name:ident = $number:literal, $what:literal;)+) => {
        /// An error number of Linux on x86-64 (`include/uapi/asm-generic/errno*.h`): only those
        /// that the specification or an executor can give, and [`Errno::Other`] for what the
        /// real kernel says beyond it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(clippy::upper_case_acronyms, reason = "the names are the kernel's")]
        pub enum Errno {
            $(#[doc = $what] $name,)+
            /// A number without a name here.
            Other(u16),
        }

        impl Errno {
            /// The number, positive.
            #[must_use]
            pub fn number(self) -> i32 {
                match self {
                    $(Self::$name => $number,)+
                    Self::Other(number) => i32::from(number),
                }
            }

            /// Of a number, positive.
            #[must_use]
            pub fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$name,)+
                    other => Self::Other(u16::try_from(other).unwrap_or(u16::MAX)),
                }
            }
        }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str(stringify!($name)),)+
                    Self::Other(number) => write!(f, "errno {number}"),
                }
            }
        }
    };
}

errnos! {
    EPERM = 1, "Operation not permitted.";
    ENOENT = 2, "No such entry.";
    EIO = 5, "Input or output error.";
    ENXIO = 6, "No such device or address.";
    EBADF = 9, "Not an open file.";
    EAGAIN = 11, "Try again.";
    ENOMEM = 12, "Out of memory.";
    EFAULT = 14, "Bad address: an access to memory that is not there.";
    EBUSY = 16, "Busy.";
    EEXIST = 17, "Something is there already.";
    ENODEV = 19, "No such device.";
    EINVAL = 22, "Invalid argument.";
    ENOTTY = 25, "Not for this device.";
    ENOLINK = 67, "Nothing is linked: what the test importer says of what is not mapped.";
    EPROTO = 71, "Protocol error: what a planted error answers where no errno is due.";
    EOVERFLOW = 75, "Too large.";
    EOPNOTSUPP = 95, "Not supported.";
    EADDRINUSE = 98, "The address is taken.";
    EALREADY = 114, "Done already.";
    ESTALE = 116, "Not kept any more.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_belong_together() {
        for number in 1..134 {
            assert_eq!(Errno::from_number(number).number(), number);
        }
        assert_eq!((Errno::ENODEV.number(), Errno::ENODEV.to_string()), (19, "ENODEV".to_owned()));
        assert_eq!(Errno::from_number(133).to_string(), "errno 133");
    }
}
