//! The errnos of the export path, as results: negative.

use barkeep_journal::json;

pub(crate) const OK: i32 = 0;
pub(crate) const ENOENT: i32 = -2;
pub(crate) const ENOMEM: i32 = -12;
pub(crate) const EBADF: i32 = -9;
pub(crate) const EEXIST: i32 = -17;
pub(crate) const ENODEV: i32 = -19;
pub(crate) const EINVAL: i32 = -22;
pub(crate) const ENFILE: i32 = -23;
pub(crate) const EMFILE: i32 = -24;
pub(crate) const ENOTTY: i32 = -25;
pub(crate) const EOVERFLOW: i32 = -75;
pub(crate) const EOPNOTSUPP: i32 = -95;

/// A result in words: `success`, an errno's name, or the number.
pub(crate) fn words(result: i32) -> String {
    match (result, json::errno_name(result)) {
        (OK, _) => "success".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (_, None) => result.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_names() {
        for (number, name) in [
            (ENOENT, "ENOENT"),
            (ENOMEM, "ENOMEM"),
            (EEXIST, "EEXIST"),
            (ENODEV, "ENODEV"),
            (EINVAL, "EINVAL"),
            (ENOTTY, "ENOTTY"),
            (EOVERFLOW, "EOVERFLOW"),
            (EOPNOTSUPP, "EOPNOTSUPP"),
        ] {
            assert_eq!(words(number), name);
        }
    }
}
