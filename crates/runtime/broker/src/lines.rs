//! A stream cut into lines.

/// What has come of a line that is not whole yet.
#[derive(Debug)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// Bytes that a line may have.
    most: usize,
    /// Whether the line is longer than that, so that the rest of it is left out too.
    too_long: bool,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            partial: Vec::new(),
            most,
            too_long: false,
        }
    }

    /// Hands on each line that is whole now, without its end; nothing in the place of one that is
    /// too long.
    pub(crate) fn take(&mut self, mut chunk: &[u8], mut each: impl FnMut(Option<&[u8]>)) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            self.add(&chunk[..end]);
            chunk = &chunk[end + 1..];
            self.end(&mut each);
        }
        self.add(chunk);
    }

    /// Hands on what is left at the end of the stream.
    pub(crate) fn end(&mut self, mut each: impl FnMut(Option<&[u8]>)) {
        match self.too_long {
            true => each(None),
            false => {
                let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
                if !line.is_empty() {
                    each(Some(line));
                }
            }
        }
        self.partial.clear();
        self.too_long = false;
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.too_long || self.partial.len() + bytes.len() > self.most {
            self.too_long = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut_and_a_long_one_is_left_out_alone() {
        let text = b"one\r\n\ntwo\nmuch too long\nthree\nlast";
        for cut in 1..text.len() {
            let (mut lines, mut found) = (Lines::new(5), Vec::new());
            let mut each = |line: Option<&[u8]>| {
                found.push(line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
            };
            for chunk in text.chunks(cut) {
                lines.take(chunk, &mut each);
            }
            lines.end(&mut each);
            let found: Vec<_> = found.iter().map(Option::as_deref).collect();
            let wanted = [Some("one"), Some("two"), None, Some("three"), Some("last")];
            assert_eq!(found, wanted, "cut every {cut}");
        }
    }
}
