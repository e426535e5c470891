-- view: user_taste
-- entity: user
-- ttl_days: 365
-- about: Which categories a user likes; an event counts half as much for each 90 days before the user's newest one.
-- feature: top_category category = the category with most weight, the first in the alphabet of equals
-- feature: top_category_share number = its share of the weight
-- feature: second_category_share number = the share of the next one
-- feature: categories number = different categories
-- feature: category_entropy number = in nats; 0 is one category only
-- feature: items number = different items

with event_log as (
    select user_id, item_id, event_at
    from events
    where
        event_at < $as_of
        and item_id is not null
        and event_name not in ('refund', 'remove_from_cart', 'view_promotion')
),

catalogue as (
    select item_id, category
    from items
    where category is not null and category <> ''
),

newest as (
    select event_log.user_id, max(event_log.event_at) as event_at
    from event_log
    inner join catalogue on event_log.item_id = catalogue.item_id
    group by event_log.user_id
),

weighed as (
    select
        event_log.user_id,
        event_log.item_id,
        catalogue.category,
        -- Decimals add up to the same sum in any order.
        cast(
            pow(0.5, (epoch_us(newest.event_at) - epoch_us(event_log.event_at)) / (90 * 86400000000.0))
            as decimal(28, 12)
        ) as weight
    from event_log
    inner join catalogue on event_log.item_id = catalogue.item_id
    inner join newest on event_log.user_id = newest.user_id
),

categories as (
    select user_id, category, sum(weight) as weight
    from weighed
    group by user_id, category
),

totals as (
    select user_id, sum(weight) as weight
    from categories
    group by user_id
),

shares as (
    select
        categories.user_id,
        categories.category,
        cast(categories.weight as double) / cast(totals.weight as double) as share,
        row_number() over (
            partition by categories.user_id
            order by categories.weight desc, categories.category
        ) as place
    from categories
    inner join totals on categories.user_id = totals.user_id
),

taste as (
    select
        user_id,
        max(case when place = 1 then category end) as top_category,
        max(case when place = 1 then share end) as top_category_share,
        coalesce(max(case when place = 2 then share end), 0) as second_category_share,
        count(*) as categories,
        -- A share too small for the decimals adds nothing.
        sum(cast(case when share > 0 then -share * ln(share) else 0 end as decimal(28, 12))) as category_entropy
    from shares
    group by user_id
),

item_counts as (
    select user_id, count(distinct item_id) as items
    from weighed
    group by user_id
),

final as (
    select
        taste.user_id as entity_id,
        newest.event_at,
        taste.top_category,
        taste.top_category_share,
        taste.second_category_share,
        taste.categories,
        cast(taste.category_entropy as double) as category_entropy,
        item_counts.items
    from taste
    inner join newest on taste.user_id = newest.user_id
    inner join item_counts on taste.user_id = item_counts.user_id
)

select * from final
