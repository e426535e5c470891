//! The slow twin: what the kernels mean, in dense loops and full sorts.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// A dense matrix by rows.
type Dense = Vec<Vec<f32>>;

/// Similarity of two columns straight from the table of [`measure`].
fn similarity(x: &Dense, i: usize, j: usize, options: &NeighbourOptions, weights: &Dense) -> f32 {
    let shrinkage = options.shrinkage;
    let shared = x
        .iter()
        .filter(|row| row[i] != 0.0 && row[j] != 0.0)
        .count() as f32;
    let taken = |i: usize| x.iter().filter(|row| row[i] != 0.0).count() as f32;
    let dot = |m: &Dense| m.iter().fold(0.0_f32, |sum, row| sum + row[i] * row[j]);
    let norm = |i: usize| {
        x.iter()
            .map(|row| f64::from(row[i]).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    match options.similarity {
        Similarity::Linear if shrinkage > 0.0 => dot(x) * (shared / (shared + shrinkage)),
        Similarity::Linear => dot(x),
        Similarity::Cosine if shrinkage > 0.0 => {
            dot(x) / (norm(i) as f32 * norm(j) as f32 + shrinkage)
        }
        Similarity::Cosine => dot(x) * ((1.0 / norm(i)) as f32 * (1.0 / norm(j)) as f32),
        Similarity::Jaccard => shared / (taken(i) + taken(j) - shared + shrinkage),
        Similarity::Bm25(_) if shrinkage > 0.0 => dot(weights) * (shared / (shared + shrinkage)),
        Similarity::Bm25(_) => dot(weights),
    }
}

fn bm25_weights(x: &Dense, parameters: Bm25) -> Dense {
    let items = x.first().map_or(0, Vec::len);
    let length = |j: usize| x.iter().map(|row| f64::from(row[j])).sum::<f64>();
    let mean = (0..items).map(length).sum::<f64>() / items as f64;
    let (k1, b) = (f64::from(parameters.k1), f64::from(parameters.b));
    x.iter()
        .map(|row| {
            let taken = row.iter().filter(|&&value| value != 0.0).count() as f64;
            let idf = ((items as f64).ln() - taken.ln_1p()).max(0.0);
            row.iter()
                .enumerate()
                .map(|(j, &value)| {
                    if value == 0.0 {
                        return 0.0;
                    }
                    let value = f64::from(value);
                    let saturation = k1 * (1.0 - b + b * length(j) / mean);
                    (value * (k1 + 1.0) / (saturation + value) * idf) as f32
                })
                .collect()
        })
        .collect()
}

fn slow_column_neighbours(
    x: &Dense,
    items: usize,
    options: &NeighbourOptions,
) -> Vec<Vec<(u32, f32)>> {
    let weights = match options.similarity {
        Similarity::Bm25(parameters) => bm25_weights(x, parameters),
        _ => Dense::new(),
    };
    (0..items)
        .map(|i| {
            let mut row: Vec<(u32, f32)> = (0..items)
                .filter(|&j| j != i)
                .map(|j| (j as u32, similarity(x, i, j, options, &weights)))
                .filter(|&(_, s)| s > 0.0)
                .collect();
            row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            row.truncate(options.top_n);
            row
        })
        .collect()
}

fn sparse(x: &Dense) -> Csr {
    let mut csr = Csr {
        indptr: vec![0],
        ..Csr::default()
    };
    for row in x {
        for (column, &value) in row.iter().enumerate() {
            // Every third zero is stored, as callers may do.
            if value != 0.0 || column.is_multiple_of(3) {
                csr.indices.push(column as u32);
                csr.data.push(value);
            }
        }
        csr.indptr.push(csr.indices.len() as i64);
    }
    csr
}

fn rows(csr: &Csr) -> Vec<Vec<(u32, f32)>> {
    (0..csr.rows())
        .map(|row| {
            let (indices, data) = csr.row(row);
            indices.iter().copied().zip(data.iter().copied()).collect()
        })
        .collect()
}

fn transposed(x: &Dense, items: usize) -> Dense {
    (0..items)
        .map(|j| x.iter().map(|row| row[j]).collect())
        .collect()
}

/// Users, items, share of filled cells; values are small multiples of a quarter, some negative if `signed`.
fn matrices(signed: bool) -> impl Strategy<Value = (Dense, usize)> {
    (1_usize..14, 1_usize..90, 1_u32..10).prop_flat_map(move |(users, items, fill)| {
        let value = (0_u32..10, 1_i8..20, any::<bool>()).prop_map(move |(draw, size, minus)| {
            let sign = if signed && minus { -1.0 } else { 1.0 };
            if draw < fill {
                sign * f32::from(size) / 4.0
            } else {
                0.0
            }
        });
        (
            prop::collection::vec(prop::collection::vec(value, items), users),
            Just(items),
        )
    })
}

fn measures() -> impl Strategy<Value = Similarity> {
    prop_oneof![
        Just(Similarity::Linear),
        Just(Similarity::Cosine),
        Just(Similarity::Jaccard),
        (0.0_f32..3.0, 0.0_f32..1.0).prop_map(|(k1, b)| Similarity::Bm25(Bm25 { k1, b })),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Bit for bit: both sum users in ascending order and finish by the same formula.
    #[test]
    fn column_neighbours_equal_dense_loops(
        (x, items) in matrices(false),
        similarity in measures(),
        top_n in 1_usize..30,
        shrinkage in prop_oneof![Just(0.0_f32), 0.1_f32..20.0],
        threads in 1_usize..4,
    ) {
        let options = NeighbourOptions { similarity, top_n, shrinkage, threads };
        let csr = sparse(&x);
        let fast = column_neighbours(&csr.view(items).unwrap(), &options).unwrap();
        prop_assert_eq!(rows(&fast), slow_column_neighbours(&x, items, &options));
    }

    #[test]
    fn negative_values_are_allowed_where_they_mean_something(
        (x, items) in matrices(true),
        similarity in prop_oneof![Just(Similarity::Linear), Just(Similarity::Cosine), Just(Similarity::Jaccard)],
        shrinkage in prop_oneof![Just(0.0_f32), 0.1_f32..20.0],
    ) {
        let options = NeighbourOptions { similarity, top_n: 5, shrinkage, threads: 1 };
        let csr = sparse(&x);
        let fast = column_neighbours(&csr.view(items).unwrap(), &options).unwrap();
        prop_assert_eq!(rows(&fast), slow_column_neighbours(&x, items, &options));
    }

    #[test]
    fn row_neighbours_are_column_neighbours_of_the_transpose(
        (x, items) in matrices(false),
        similarity in measures(),
    ) {
        let options = NeighbourOptions { similarity, top_n: 7, shrinkage: 0.0, threads: 2 };
        let csr = sparse(&x);
        let fast = row_neighbours(&csr.view(items).unwrap(), &options).unwrap();
        let turned = transposed(&x, items);
        prop_assert_eq!(rows(&fast), slow_column_neighbours(&turned, x.len(), &options));
    }

    #[test]
    fn turned_neighbours_equal_dense_loops((x, items) in matrices(false), row_max in 1_usize..20) {
        let options = NeighbourOptions { similarity: Similarity::Cosine, top_n: 5, shrinkage: 0.0, threads: 1 };
        let csr = sparse(&x);
        let found = column_neighbours(&csr.view(items).unwrap(), &options).unwrap();
        let fast = turned_neighbours(&found.view(items).unwrap(), row_max).unwrap();
        for h in 0..items {
            let mut slow: Vec<(u32, f32)> = rows(&found)
                .iter()
                .enumerate()
                .flat_map(|(i, row)| row.iter().filter(|pair| pair.0 as usize == h).map(move |pair| (i as u32, pair.1)))
                .collect();
            slow.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            slow.truncate(row_max);
            prop_assert_eq!(&rows(&fast)[h], &slow);
        }
    }

    #[test]
    fn products_equal_dense_loops(
        (left, middle) in matrices(true),
        seed in any::<u32>(),
        columns in 1_usize..40,
        top_k in 1_usize..20,
        combination in prop_oneof![
            Just(Combination::WeightedSum),
            Just(Combination::NormalisedByLeft),
            Just(Combination::NormalisedByRight),
        ],
        threads in 1_usize..4,
    ) {
        let cell = |m: usize, c: usize| {
            let draw = (m as u32).wrapping_mul(2_654_435_761) ^ (c as u32).wrapping_mul(40_503) ^ seed;
            if draw.is_multiple_of(3) { (draw % 11) as f32 - 3.0 } else { 0.0 }
        };
        let right: Dense = (0..middle).map(|m| (0..columns).map(|c| cell(m, c)).collect()).collect();
        let excluded: Dense = left.iter().enumerate().map(|(r, _)| (0..columns).map(|c| cell(r + 1, c)).collect()).collect();
        let (l, r, e) = (sparse(&left), sparse(&right), sparse(&excluded));
        let options = ProductOptions { combination, top_k, threads };
        let (l, r, e) = (l.view(middle).unwrap(), r.view(columns).unwrap(), e.view(columns).unwrap());
        let fast = top_products(&l, &r, Some(&e), &options).unwrap();
        let dense = dense_products(&l, &r, combination).unwrap();
        for row in 0..left.len() {
            let mut slow = Vec::new();
            for column in 0..columns {
                let (mut sum, mut weight) = (0.0_f32, 0.0_f32);
                for m in 0..middle {
                    let is_left_stored = left[row][m] != 0.0 || m.is_multiple_of(3);
                    let is_right_stored = right[m][column] != 0.0 || column.is_multiple_of(3);
                    if is_left_stored && is_right_stored {
                        sum += left[row][m] * right[m][column];
                        weight += match combination {
                            Combination::WeightedSum => 1.0,
                            Combination::NormalisedByLeft => left[row][m].abs(),
                            Combination::NormalisedByRight => right[m][column].abs(),
                        };
                    }
                }
                let value = match combination {
                    Combination::WeightedSum => sum,
                    _ => if weight > 0.0 { sum / weight } else { 0.0 },
                };
                prop_assert_eq!(dense[row * columns + column], value);
                let is_excluded = excluded[row][column] != 0.0 || column.is_multiple_of(3);
                if weight > 0.0 && !is_excluded && (combination != Combination::WeightedSum || value > 0.0) {
                    slow.push((column as u32, value));
                }
            }
            slow.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            slow.truncate(top_k);
            prop_assert_eq!(&rows(&fast)[row], &slow);
        }
    }

    #[test]
    fn textbook_neighbours_equal_a_full_sort((x, items) in matrices(true), k in 1_usize..13) {
        prop_assume!(k < x.len());
        let csr = sparse(&x);
        let fast = textbook_neighbours(&csr.view(items).unwrap(), k).unwrap();
        for user in 0..x.len() {
            let dot = |other: usize| -> f64 { (0..items).map(|i| f64::from(x[user][i]) * f64::from(x[other][i])).sum::<f64>() + 0.0 };
            let mut others: Vec<usize> = (0..x.len()).filter(|&other| other != user).collect();
            others.sort_by(|&a, &b| dot(b).total_cmp(&dot(a)).then(a.cmp(&b)));
            let slow: Vec<u32> = others[..k].iter().map(|&other| other as u32).collect();
            prop_assert_eq!(&fast[user * k..(user + 1) * k], &slow[..]);
        }
    }
}

/// Many columns in one row of users make the kernel scan; the proptest sizes mostly note touched positions.
#[test]
fn a_wide_matrix_is_scanned_and_agrees() {
    let items = 700;
    let users = 40;
    let mut state = 7_u64;
    let mut draw = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u32
    };
    let x: Dense = (0..users)
        .map(|_| {
            (0..items)
                .map(|j| {
                    if draw().is_multiple_of(4 + j as u32 / 20) {
                        (1 + draw() % 3) as f32
                    } else {
                        0.0
                    }
                })
                .collect()
        })
        .collect();
    let csr = sparse(&x);
    for similarity in [
        Similarity::Linear,
        Similarity::Cosine,
        Similarity::Jaccard,
        Similarity::Bm25(Bm25::default()),
    ] {
        for (top_n, shrinkage) in [(1, 0.0), (10, 0.0), (10, 5.0), (1000, 0.0)] {
            let options = NeighbourOptions {
                similarity,
                top_n,
                shrinkage,
                threads: 3,
            };
            let fast = column_neighbours(&csr.view(items).unwrap(), &options).unwrap();
            assert_eq!(
                rows(&fast),
                slow_column_neighbours(&x, items, &options),
                "{options:?}"
            );
        }
    }
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let csr = Csr {
        indptr: vec![0, 1],
        indices: vec![0],
        data: vec![1.0],
    };
    let view = csr.view(1).unwrap();
    let good = NeighbourOptions {
        similarity: Similarity::Cosine,
        top_n: 1,
        shrinkage: 0.0,
        threads: 1,
    };
    let field = |options: NeighbourOptions| column_neighbours(&view, &options).unwrap_err().field;
    assert_eq!(field(NeighbourOptions { top_n: 0, ..good }), "top_n");
    assert_eq!(
        field(NeighbourOptions {
            top_n: 1001,
            ..good
        }),
        "top_n"
    );
    assert_eq!(
        field(NeighbourOptions {
            shrinkage: -1.0,
            ..good
        }),
        "shrinkage"
    );
    assert_eq!(
        field(NeighbourOptions {
            shrinkage: f32::NAN,
            ..good
        }),
        "shrinkage"
    );
    assert_eq!(
        field(NeighbourOptions {
            threads: 5000,
            ..good
        }),
        "threads"
    );
    assert_eq!(textbook_neighbours(&view, 1).unwrap_err().field, "k");
}

#[test]
fn nothing_in_gives_nothing_out() {
    let options = NeighbourOptions {
        similarity: Similarity::Cosine,
        top_n: 3,
        shrinkage: 0.0,
        threads: 2,
    };
    let empty = Csr {
        indptr: vec![0],
        ..Csr::default()
    };
    assert_eq!(
        column_neighbours(&empty.view(0).unwrap(), &options)
            .unwrap()
            .indptr,
        [0]
    );
    assert_eq!(
        column_neighbours(&empty.view(2).unwrap(), &options)
            .unwrap()
            .indptr,
        [0, 0, 0]
    );
}
