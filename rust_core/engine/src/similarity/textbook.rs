//! The textbook's neighbours of a user: exactly the k most similar by the linear kernel, whoever they are.
//!
//! Unlike [`row_neighbours`](crate::similarity::row_neighbours) this keeps users who share nothing (similarity 0) or less,
//! because the textbook's mean divides by k whatever they are: `ratings[neighbours].mean(axis=0)` with unrated = 0.
//! It exists to be equal to that code, not to be good: on MovieLens-100k cosine, about 80 neighbours and a weighted
//! sum reach nDCG@10 .43, this .28.
//!
//! Sums are f64 in ascending order of items, exact for ratings on any usual scale. Costs users² · 8 bytes of reading
//! and one selection a user: meant for tens of thousands of users.

use crate::error::Result;
use crate::similarity::matrix::CsrView;
use crate::similarity::wrong;

/// The `k` users most similar to each user by `x_u · x_v`, never u itself; ties by the lower index.
///
/// Row-major, `k` columns, most similar first. Needs more than `k` users.
pub fn textbook_neighbours(ratings: &CsrView<'_>, k: usize) -> Result<Vec<u32>> {
    let users = ratings.rows();
    if k == 0 || k >= users {
        return Err(wrong(
            "k",
            "OUT_OF_RANGE",
            format!(
                "is {k}; with {users} users it must be from 1 to {}",
                users.saturating_sub(1)
            ),
        )
        .with("value", k)
        .with("limit", users.saturating_sub(1)));
    }
    let by_item = ratings.transposed()?;
    let mut neighbours = Vec::with_capacity(users * k);
    let mut similarities = vec![0.0_f64; users];
    let mut others: Vec<u32> = Vec::with_capacity(users);
    for user in 0..users {
        similarities.fill(0.0);
        let (items, values) = ratings.row(user);
        for (&item, &value) in items.iter().zip(values) {
            let (raters, theirs) = by_item.row(item as usize);
            for (&rater, &other) in raters.iter().zip(theirs) {
                similarities[rater as usize] += f64::from(value) * f64::from(other);
            }
        }
        others.clear();
        others.extend((0..users as u32).filter(|&other| other as usize != user));
        let better = |a: &u32, b: &u32| {
            similarities[*b as usize]
                .total_cmp(&similarities[*a as usize])
                .then(a.cmp(b))
        };
        others.select_nth_unstable_by(k - 1, better);
        others.truncate(k);
        others.sort_unstable_by(better);
        neighbours.extend_from_slice(&others);
    }
    Ok(neighbours)
}
