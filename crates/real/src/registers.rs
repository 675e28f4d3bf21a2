//! Numbered places for what a process holds.

/// `COUNT` of them, each empty or full.
pub(crate) struct Registers<T, const COUNT: usize> {
    places: [Option<T>; COUNT],
}

impl<T, const COUNT: usize> Registers<T, COUNT> {
    pub(crate) fn new() -> Self {
        Self { places: [const { None }; COUNT] }
    }

    /// What is there; nothing, too, where there is no such place.
    pub(crate) fn get(&self, number: u8) -> Option<&T> {
        self.places.get(usize::from(number))?.as_ref()
    }

    /// The place, if there is one and it is empty.
    pub(crate) fn empty(&mut self, number: u8) -> Option<&mut Option<T>> {
        self.places.get_mut(usize::from(number)).filter(|place| place.is_none())
    }

    pub(crate) fn take(&mut self, number: u8) -> Option<T> {
        self.places.get_mut(usize::from(number))?.take()
    }

    /// The full ones, with their numbers.
    pub(crate) fn full(&self) -> impl Iterator<Item = (u8, &T)> {
        let numbered = self.places.iter().enumerate();
        numbered.filter_map(|(number, place)| Some((number as u8, place.as_ref()?)))
    }

    /// Gives up everything.
    pub(crate) fn clear(&mut self) {
        self.places.fill_with(|| None);
    }
}
