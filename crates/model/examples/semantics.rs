//! Prints the table of `docs/semantics.md`.

fn main() {
    print!("{}", barkeep_model::semantics::markdown());
}
