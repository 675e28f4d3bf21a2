//! As many as there is room for, and those that matter most where there is not.

/// Of each sort that are kept where not all are.
const KEPT: usize = 300;

/// Things, by what they are worth: more is better, 0 is nothing.
pub(super) struct Worth<T> {
    all: Vec<T>,
    worth: fn(&T) -> u64,
    only_the_worthiest: bool,
}

impl<T> Worth<T> {
    pub fn new(worth: fn(&T) -> u64) -> Self {
        Self { all: Vec::new(), worth, only_the_worthiest: false }
    }

    pub fn add(&mut self, thing: T) {
        if self.only_the_worthiest && (self.worth)(&thing) == 0 {
            return;
        }
        self.all.push(thing);
        if self.only_the_worthiest && self.all.len() > 4 * KEPT {
            self.shrink();
        }
    }

    /// From now on there is room for few.
    pub fn only_the_worthiest(&mut self) {
        self.only_the_worthiest = true;
        self.shrink();
    }

    pub fn into_all(mut self) -> Vec<T> {
        if self.only_the_worthiest {
            self.shrink();
        }
        self.all
    }

    fn shrink(&mut self) {
        let worth = self.worth;
        self.all.retain(|thing| worth(thing) > 0);
        // Stable: of equals the first.
        self.all.sort_by_key(|thing| std::cmp::Reverse(worth(thing)));
        self.all.truncate(KEPT);
    }
}
