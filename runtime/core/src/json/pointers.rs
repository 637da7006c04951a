//! Looks up many JSON pointers in one pass, without building a document.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::object::Key;

/// A set of pointers, compiled into a tree of their tokens.
#[derive(Clone, Debug, Default)]
pub struct PointerSet {
    root: Node,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The number of the pointer that ends here.
    slot: Option<usize>,
    members: BTreeMap<String, Node>,
    /// The members whose token can be an array's index.
    indices: BTreeSet<usize>,
}

impl PointerSet {
    /// Adds a pointer, given as unescaped tokens, and returns its number; equal pointers get the same number.
    pub fn insert(&mut self, tokens: &[String]) -> usize {
        let mut node = &mut self.root;
        for token in tokens {
            node = node.member(token);
        }
        *node.slot.get_or_insert_with(|| {
            self.len += 1;
            self.len - 1
        })
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Finds the text of each pointer's value: pairs of number and text, sorted by number; absent values are omitted.
    /// Stops reading once all are found.
    pub fn find<'t>(&self, text: &'t str) -> Vec<(usize, &'t str)> {
        let mut search = Search { found: Vec::new(), wanted: self.len };
        if self.len > 0 {
            self.root.search(text.trim_ascii(), &mut search);
        }
        search.found.sort_unstable_by_key(|(slot, _)| *slot);
        search.found
    }
}

struct Search<'t> {
    found: Vec<(usize, &'t str)>,
    wanted: usize,
}

impl Node {
    fn member(&mut self, token: &str) -> &mut Node {
        self.indices.extend(array_index(token));
        self.members.entry(token.to_owned()).or_default()
    }

    fn by_index(&self, index: usize) -> Option<&Node> {
        if self.indices.contains(&index) { self.members.get(&index.to_string()) } else { None }
    }

    fn search<'t>(&self, text: &'t str, search: &mut Search<'t>) {
        if let Some(slot) = self.slot {
            search.found.push((slot, text));
        }
        if !self.members.is_empty() {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            // An error is either the early stop or unchecked text; what was found so far is valid.
            let _ = Walk { node: self, search }.deserialize(&mut deserializer);
        }
    }
}

/// RFC 6901: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let plain = token == "0" || (token.starts_with(|c: char| ('1'..='9').contains(&c)) && token.len() < 10);
    if plain { token.parse().ok() } else { None }
}

struct Walk<'n, 's, 't> {
    node: &'n Node,
    search: &'s mut Search<'t>,
}

impl<'n, 't> Walk<'n, '_, 't> {
    /// Looks into a child's value. An error ends the walk because everything has been found.
    fn child<E: Error>(&mut self, child: &'n Node, value: &'t RawValue) -> Result<(), E> {
        child.search(value.get(), self.search);
        if self.search.found.len() == self.search.wanted { Err(E::custom("all found")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match self.node.members.get(key.as_ref()) {
                Some(child) => self.child(child, map.next_value()?)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let last = self.node.indices.last().map_or(0, |index| index + 1);
        for index in 0..last {
            match self.node.by_index(index) {
                Some(child) => match seq.next_element()? {
                    Some(value) => self.child(child, value)?,
                    None => return Ok(()),
                },
                None if seq.next_element::<IgnoredAny>()?.is_none() => return Ok(()),
                None => {}
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::subscription::Pointer;

    fn find<'t>(pointers: &[&str], text: &'t str) -> Vec<Option<&'t str>> {
        let mut set = PointerSet::default();
        let slots: Vec<usize> =
            pointers.iter().map(|text| set.insert(&Pointer::parse(text).expect("pointer").tokens)).collect();
        let found = set.find(text);
        slots.iter().map(|slot| found.iter().find(|(other, _)| other == slot).map(|(_, text)| *text)).collect()
    }

    #[test]
    fn values_are_found_in_objects_and_arrays() {
        let text = r#"{"skip":[[{"a":0}]],"a":{"b":[10,{"c":"x"},12],"0":7},"e\"":null,"z":1}"#;
        assert_eq!(
            find(&["/a/b/1/c", "/a/b/2", "/a", "/a/0", "/e\"", "/a/b/3", "/a/b/-", "/a/b/01", "/z/y", "/none"], text),
            [
                Some("\"x\""),
                Some("12"),
                Some(r#"{"b":[10,{"c":"x"},12],"0":7}"#),
                Some("7"),
                Some("null"),
                None,
                None,
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn the_whole_text_is_what_no_tokens_name() {
        let mut set = PointerSet::default();
        let all = set.insert(&[]);
        assert_eq!(set.insert(&[]), all);
        assert_eq!(set.find(" [1] "), [(all, "[1]")]);
    }

    proptest! {
        #[test]
        fn finds_what_a_document_has(
            text in "(\\{\"a\":(1|\\[1,\\{\"b\":2\\}\\]|\\{\"a\":\\[\\]\\}),\"b\":(\"x\"|null|\\[\\[3\\]\\])\\}|\\[\\]|7)",
            pointers in proptest::collection::vec("(/(a|b|0|1)){1,3}", 1..6),
        ) {
            let document: serde_json::Value = serde_json::from_str(&text).expect("json");
            let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
            let expected: Vec<Option<String>> = pointers.iter().map(|p| document.pointer(p).map(ToString::to_string)).collect();
            let found = find(&pointers, &text);
            prop_assert_eq!(found.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>(), expected);
        }
    }
}
