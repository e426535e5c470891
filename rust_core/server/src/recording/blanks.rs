//! White space around texts, which both the file import and the wire cut off.

/// `_BLANKS` of `python/promosvc/events/expressions.py`.
const BLANKS: [char; 8] = [
    ' ', '\t', '\r', '\n', '\u{b}', '\u{c}', '\u{a0}', '\u{feff}',
];

/// Cuts blanks off both ends. Nearly every text has none, and then nothing is copied.
pub(super) fn trim(text: &mut String) {
    let trimmed = text.trim_matches(BLANKS);
    if trimmed.len() != text.len() {
        *text = trimmed.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_import_cuts_the_same_blanks() {
        let source = include_str!("../../../../python/promosvc/events/expressions.py");
        let line = source
            .lines()
            .find(|line| line.starts_with("_BLANKS"))
            .expect("the import names its blanks");
        assert_eq!(line, r#"_BLANKS: Final = " \t\r\n\v\f\u00a0\ufeff""#);
    }

    #[test]
    fn only_the_ends_are_cut() {
        for (text, trimmed) in [
            ("\u{feff} near\u{a0}\t", "near"),
            ("\u{b}\u{c}a b\r\n", "a b"),
            ("  ", ""),
            ("", ""),
            ("n\u{e4}her", "n\u{e4}her"),
        ] {
            let mut cut = text.to_owned();
            trim(&mut cut);
            assert_eq!(cut, trimmed);
        }
    }
}
