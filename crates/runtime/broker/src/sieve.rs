//! A JSON document of the engine's that has lists of everybody's objects, read as it comes: each
//! element is looked at by itself, and only what is wanted is kept. So it takes no more memory than
//! that and its longest element, however much others have put into theirs.

use serde_json::Value;

/// Reads one document. The lists are the document itself, or the members of it that are lists.
pub(crate) struct Sieve<F> {
    keep: F,
    /// The document without the elements that are not kept.
    kept: Vec<u8>,
    /// What has come of the element that is not whole yet.
    element: Vec<u8>,
    depth: usize,
    /// The list that it is in.
    list: Option<List>,
    text: Option<Text>,
}

struct List {
    depth: usize,
    member: String,
    is_empty: bool,
}

/// Inside of a text.
#[derive(Clone, Copy)]
enum Text {
    Plain,
    Escaped,
}

impl<F: FnMut(&str, Value) -> Option<Value>> Sieve<F> {
    /// `keep` gets the member that is the list (an empty text where the document is) and the
    /// element, and returns what is to be in its place, if anything.
    pub(crate) const fn new(keep: F) -> Self {
        Self {
            keep,
            kept: Vec::new(),
            element: Vec::new(),
            depth: 0,
            list: None,
            text: None,
        }
    }

    /// Takes the next bytes; how many are held now.
    ///
    /// # Errors
    /// For an element that is not JSON. What is wrong elsewhere shows in what is kept.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, serde_json::Error> {
        for byte in bytes {
            self.byte(*byte)?;
        }
        Ok(self.kept.len() + self.element.len())
    }

    /// The document, when all of it has come.
    pub(crate) fn end(self) -> Vec<u8> {
        self.kept
    }

    fn byte(&mut self, byte: u8) -> Result<(), serde_json::Error> {
        if let Some(text) = self.text {
            self.text = match (text, byte) {
                (Text::Plain, b'"') => None,
                (Text::Plain, b'\\') => Some(Text::Escaped),
                _ => Some(Text::Plain),
            };
            self.put(byte);
            return Ok(());
        }
        let at_list = self.list.as_ref().is_some_and(|it| it.depth == self.depth);
        match byte {
            b'"' => {
                self.text = Some(Text::Plain);
                self.put(byte);
            }
            b'[' | b'{' => {
                self.put(byte);
                self.depth += 1;
                if byte == b'[' && self.depth <= 2 && self.list.is_none() {
                    self.list = Some(List {
                        depth: self.depth,
                        member: member(&self.kept),
                        is_empty: true,
                    });
                }
            }
            b',' if at_list => self.sift()?,
            b']' if at_list => {
                self.sift()?;
                self.list = None;
                self.depth = self.depth.saturating_sub(1);
                self.put(byte);
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                self.put(byte);
            }
            _ => self.put(byte),
        }
        Ok(())
    }

    fn put(&mut self, byte: u8) {
        match self.list {
            Some(_) => self.element.push(byte),
            None => self.kept.push(byte),
        }
    }

    /// An element is whole.
    fn sift(&mut self) -> Result<(), serde_json::Error> {
        let element = std::mem::take(&mut self.element);
        let Some(list) = self.list.as_mut() else {
            return Ok(());
        };
        if element.trim_ascii().is_empty() {
            return Ok(());
        }
        let element = serde_json::from_slice(&element)?;
        if let Some(element) = (self.keep)(&list.member, element) {
            if !list.is_empty {
                self.kept.push(b',');
            }
            list.is_empty = false;
            serde_json::to_writer(&mut self.kept, &element)?;
        }
        Ok(())
    }
}

/// The name of the member whose list has just begun.
fn member(kept: &[u8]) -> String {
    let before = kept.strip_suffix(b"[").unwrap_or(kept).trim_ascii_end();
    let name = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
    let name = name.and_then(|name| name.strip_suffix(b"\""));
    let name = name.and_then(|name| name.rsplit(|byte| *byte == b'"').next());
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sifted(
        text: &[u8],
        cut: usize,
        keep: impl FnMut(&str, Value) -> Option<Value>,
    ) -> Result<Value, serde_json::Error> {
        let mut sieve = Sieve::new(keep);
        for chunk in text.chunks(cut) {
            sieve.take(chunk)?;
        }
        serde_json::from_slice(&sieve.end())
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = "[a\\[\\]{},:\"\\\\ é\n]{0,6}".prop_map(Value::from);
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a\\[\\]{},\"\\\\]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_keeps_all_changes_nothing(value in value(), pretty: bool, cut in 1usize..9) {
            let text = match pretty {
                true => serde_json::to_vec_pretty(&value).unwrap(),
                false => serde_json::to_vec(&value).unwrap(),
            };
            prop_assert_eq!(sifted(&text, cut, |_, element| Some(element)).unwrap(), value);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 1usize..9) {
            let _ = sifted(&bytes, cut, |_, element| Some(element));
        }
    }

    #[test]
    fn elements_are_sifted_by_the_member_that_they_are_in() {
        let text = br#" { "A" : [ {"x":[1,2]}, "]" , 3 ], "N":5, "B":[7,8], "C":{"D":[9]} } "#;
        let keep = |member: &str, element: Value| match member {
            "A" => (element != json!("]")).then_some(element),
            "B" => None,
            _ => Some(json!("never")),
        };
        let wanted = json!({ "A": [{ "x": [1, 2] }, 3], "N": 5, "B": [], "C": { "D": [9] } });
        assert_eq!(sifted(text, 3, keep).unwrap(), wanted);
        let odd = |_: &str, element: Value| (element.as_u64()? % 2 == 1).then_some(element);
        assert_eq!(sifted(b"[1, 2,3,\n4]", 2, odd).unwrap(), json!([1, 3]));
        assert!(sifted(b"[1, 2", 2, odd).is_err(), "cut short");
        assert!(sifted(b"[1, x]", 2, odd).is_err());
    }

    #[test]
    fn what_is_not_kept_is_not_held() {
        let mut sieve = Sieve::new(|_, _| None);
        sieve.take(b"[").unwrap();
        let element = format!("\"{}\",", "x".repeat(10_000));
        for _ in 0..1000 {
            assert!(sieve.take(element.as_bytes()).unwrap() < 20);
        }
    }
}
