//! The data as operations and operands.

/// What is left of the data. Behind its end all operands are zero.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Script<'a> {
        Script(data)
    }

    /// The next operation.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn octet(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A number below `n`, which is no more than 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.octet()) % n.max(1)
    }

    pub fn flag(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        if of.is_empty() { None } else { of.get(self.below(of.len().min(256))) }
    }

    /// Octets as they stand, up to 255.
    pub fn raw(&mut self) -> &'a [u8] {
        let n = usize::from(self.octet()).min(self.0.len());
        let (octets, rest) = self.0.split_at(n);
        self.0 = rest;
        octets
    }
}
