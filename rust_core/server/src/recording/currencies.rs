//! ISO 4217 currency codes: those that `python/promosvc/events/currencies.py` knows.

/// Whether this is a currency of ISO 4217, in capital letters.
pub(crate) fn is_currency(code: &str) -> bool {
    CODES.binary_search(&code).is_ok()
}

/// Active codes that have a minor unit, sorted.
const CODES: [&str; 167] = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT",
    "BGN", "BHD", "BIF", "BMD", "BND", "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD",
    "CAD", "CDF", "CHE", "CHF", "CHW", "CLF", "CLP", "CNY", "COP", "COU", "CRC", "CUP", "CVE",
    "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL",
    "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR",
    "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD",
    "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK",
    "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO",
    "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON",
    "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD",
    "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD",
    "TZS", "UAH", "UGX", "USD", "USN", "UYI", "UYU", "UYW", "UZS", "VED", "VES", "VND", "VUV",
    "WST", "XAD", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every word of three capitals in the blocks of the Python file that hold codes.
    fn python_codes() -> BTreeSet<&'static str> {
        let source = include_str!("../../../../python/promosvc/events/currencies.py");
        source
            .split("\"\"\"")
            .filter(|block| {
                block.trim_start().len() > 3 && !block.contains(|c: char| c.is_lowercase())
            })
            .flat_map(str::split_whitespace)
            .filter(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
            .collect()
    }

    #[test]
    fn the_import_knows_the_same_currencies() {
        assert!(CODES.is_sorted());
        assert_eq!(
            CODES.to_vec(),
            python_codes().into_iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_currency_is_three_capitals() {
        for code in ["EUR", "JPY", "AED", "ZWG"] {
            assert!(is_currency(code), "{code}");
        }
        for other in ["", "EU", "eur", "EURO", "\u{e4}A", "   ", "ZZZ"] {
            assert!(!is_currency(other), "{other}");
        }
    }
}
