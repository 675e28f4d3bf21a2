//! Prints "Trigger by trigger" of `docs/semantics.md`.

fn main() {
    print!("{}", barkeep_matrix::semantics::markdown());
}
