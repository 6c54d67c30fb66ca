//! Views into a document.

use super::{Document, Kind, Node};

/// One value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document,
    place: Place,
}

/// Where a value stands in its document, and what it is: with it the value is read without a look
/// into the index. The default one stands for none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    index: u32,
    node: Node,
}

impl Place {
    /// Whether it is the place of no value, or of the one at the top.
    pub(crate) fn is_none(self) -> bool {
        self.index == 0
    }
}

impl<'d> Value<'d> {
    pub(super) fn at(document: &'d Document, index: usize) -> Value<'d> {
        let place = Place {
            // It fits: a document has fewer values than bytes.
            index: index as u32,
            node: document.nodes[index],
        };
        Value { document, place }
    }

    fn node(self) -> Node {
        self.place.node
    }

    fn index(self) -> usize {
        self.place.index as usize
    }

    fn slice(self) -> &'d str {
        let node = self.node();
        let source = match node.kind {
            Kind::Escaped => &self.document.resolved,
            _ => &self.document.text,
        };
        &source[node.start as usize..node.end as usize]
    }

    /// The node behind this value and all that it holds.
    fn next(self) -> usize {
        let node = self.node();
        match node.kind {
            Kind::Array | Kind::Object => node.end as usize,
            _ => self.index() + 1,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.node().kind == Kind::Null
    }

    /// The string with its escapes resolved.
    pub fn as_str(self) -> Option<&'d str> {
        matches!(self.node().kind, Kind::Plain | Kind::Escaped).then(|| self.slice())
    }

    /// The boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.node().kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The number as a double, rounded where an integer has more than 53 bits. Always finite.
    pub fn as_f64(self) -> Option<f64> {
        match self.node().kind {
            // Up to 15 digits are exact in either form, and whole numbers are read faster.
            Kind::Integer if self.slice().len() <= 15 => {
                self.slice().parse::<i64>().ok().map(|number| number as f64)
            }
            Kind::Integer | Kind::Float => self.slice().parse().ok(),
            _ => None,
        }
    }

    /// The number, where it was written as an integer and fits.
    pub fn as_i64(self) -> Option<i64> {
        (self.node().kind == Kind::Integer)
            .then(|| self.slice().parse().ok())
            .flatten()
    }

    /// The number, where it was written as an integer, is not negative and fits.
    pub fn as_u64(self) -> Option<u64> {
        (self.node().kind == Kind::Integer)
            .then(|| self.slice().parse().ok())
            .flatten()
    }

    /// The elements, where it is an array.
    pub fn as_array(self) -> Option<Elements<'d>> {
        let node = self.node();
        (node.kind == Kind::Array).then(|| Elements {
            document: self.document,
            at: self.index() + 1,
            left: node.start as usize,
        })
    }

    /// The members in the order of the text, where it is an object.
    pub fn as_object(self) -> Option<Members<'d>> {
        let node = self.node();
        (node.kind == Kind::Object).then(|| Members {
            document: self.document,
            at: self.index() + 1,
            left: node.start as usize,
        })
    }

    /// The member of that name, where it is an object and has one.
    pub fn get(self, name: &str) -> Option<Value<'d>> {
        self.as_object()?
            .find(|(member, _)| *member == name)
            .map(|(_, value)| value)
    }

    /// The strings of an array that holds nothing else.
    pub fn as_strings(self) -> Option<impl Iterator<Item = &'d str> + Clone> {
        let elements = self.as_array()?;
        elements
            .clone()
            .all(|element| element.as_str().is_some())
            .then(|| elements.filter_map(Value::as_str))
    }

    pub(crate) fn place(self) -> Place {
        self.place
    }
}

impl Document {
    /// The value that had this place in this document.
    pub(crate) fn at(&self, place: Place) -> Value<'_> {
        Value {
            document: self,
            place,
        }
    }
}

/// The elements of an array.
#[derive(Clone)]
pub struct Elements<'d> {
    document: &'d Document,
    at: usize,
    left: usize,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        self.left = self.left.checked_sub(1)?;
        let value = Value::at(self.document, self.at);
        self.at = value.next();
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The members of an object.
#[derive(Clone)]
pub struct Members<'d> {
    document: &'d Document,
    at: usize,
    left: usize,
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Value<'d>);

    fn next(&mut self) -> Option<(&'d str, Value<'d>)> {
        self.left = self.left.checked_sub(1)?;
        let name = Value::at(self.document, self.at).slice();
        let value = Value::at(self.document, self.at + 1);
        self.at = value.next();
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    #[test]
    fn values_are_read_as_what_they_are_and_nothing_else() {
        let text =
            r#"{"s":"a\"\u00e9","n":-3,"f":1.5,"t":true,"z":null,"a":[[1],"x"],"o":{"k":[]}}"#;
        let document = Document::parse(text.into(), &Limits::CLAIMS).unwrap();
        let root = document.root();
        assert_eq!(root.get("s").unwrap().as_str(), Some("a\"é"));
        assert_eq!(root.get("n").unwrap().as_i64(), Some(-3));
        assert_eq!(root.get("n").unwrap().as_u64(), None);
        assert_eq!(root.get("f").unwrap().as_f64(), Some(1.5));
        assert_eq!(root.get("f").unwrap().as_i64(), None);
        assert_eq!(root.get("t").unwrap().as_bool(), Some(true));
        assert!(root.get("z").unwrap().is_null());
        assert_eq!(root.get("a").unwrap().as_array().unwrap().count(), 2);
        assert!(root.get("a").unwrap().as_strings().is_none());
        assert!(
            root.get("o")
                .unwrap()
                .get("k")
                .unwrap()
                .as_array()
                .is_some()
        );
        assert!(root.get("k").is_none());
        assert_eq!(root.as_object().unwrap().count(), 7);
    }
}
