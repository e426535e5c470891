//! Event names, and whether each needs an item: the public vocabulary and what the configuration declares.

use std::collections::{BTreeMap, HashMap};

/// GA4's names, and `redeem_promotion`: the table `EVENT_NAMES` of `python/promosvc/columns.py`, in its order.
pub(crate) const EVENT_NAMES: [(&str, bool); 23] = [
    ("view_item", true),
    ("view_item_list", false),
    ("select_item", true),
    ("search", false),
    ("view_search_results", false),
    ("add_to_wishlist", true),
    ("add_to_cart", true),
    ("remove_from_cart", true),
    ("view_cart", false),
    ("begin_checkout", false),
    ("add_shipping_info", false),
    ("add_payment_info", false),
    ("purchase", true),
    ("refund", true),
    ("view_promotion", false),
    ("select_promotion", false),
    ("redeem_promotion", false),
    ("share", false),
    ("page_view", false),
    ("session_start", false),
    ("first_visit", false),
    ("login", false),
    ("sign_up", false),
];

/// The names that a server accepts.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    needs_item: HashMap<String, bool>,
    names: Vec<String>,
}

impl Vocabulary {
    /// The public vocabulary and `declared`, which may say otherwise about a public name.
    pub(crate) fn new(declared: &BTreeMap<String, bool>) -> Self {
        let mut needs_item: HashMap<String, bool> = EVENT_NAMES
            .iter()
            .map(|&(name, needs_item)| (name.to_owned(), needs_item))
            .collect();
        let mut names: Vec<String> = EVENT_NAMES
            .iter()
            .map(|&(name, _)| name.to_owned())
            .collect();
        for (name, &needs) in declared {
            if needs_item.insert(name.clone(), needs).is_none() {
                names.push(name.clone());
            }
        }
        Self { needs_item, names }
    }

    /// Whether the event needs an item; `None` for a name that nobody declared.
    pub(crate) fn needs_item(&self, event_name: &str) -> Option<bool> {
        self.needs_item.get(event_name).copied()
    }

    /// Every name, the public ones first, in an order that only the configuration changes.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `    "view_item": True,` between the braces of the table.
    fn python_table() -> Vec<(String, bool)> {
        let source = include_str!("../../../../python/promosvc/columns.py");
        let (_, table) = source
            .split_once("EVENT_NAMES: Final[dict[str, bool]] = {\n")
            .expect("the table begins");
        let (table, _) = table.split_once("\n}").expect("the table ends");
        table
            .lines()
            .map(|line| {
                let (name, needs_item) = line.trim().split_once(": ").expect("a row");
                let needs_item = match needs_item {
                    "True," => true,
                    "False," => false,
                    other => panic!("{other}"),
                };
                (name.trim_matches('"').to_owned(), needs_item)
            })
            .collect()
    }

    #[test]
    fn the_import_has_the_same_names() {
        let ours: Vec<_> = EVENT_NAMES
            .iter()
            .map(|&(name, needs_item)| (name.to_owned(), needs_item))
            .collect();
        assert_eq!(ours, python_table());
    }

    #[test]
    fn declared_names_come_last_and_may_overrule() {
        let declared = BTreeMap::from([
            ("enroll".to_owned(), true),
            ("search".to_owned(), true),
            ("newsletter".to_owned(), false),
        ]);
        let vocabulary = Vocabulary::new(&declared);
        assert_eq!(vocabulary.needs_item("enroll"), Some(true));
        assert_eq!(vocabulary.needs_item("newsletter"), Some(false));
        assert_eq!(vocabulary.needs_item("search"), Some(true));
        assert_eq!(vocabulary.needs_item("teleport"), None);
        assert_eq!(vocabulary.names()[23..], ["enroll", "newsletter"]);
    }
}
