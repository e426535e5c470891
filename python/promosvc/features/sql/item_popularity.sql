-- view: item_popularity
-- entity: item
-- ttl_days: 7
-- about: How many users chose or looked at an item in 1, 7 and 30 days.
-- feature: users_1d number = different users with an event
-- feature: users_7d number = different users with an event
-- feature: users_30d number = different users with an event
-- feature: buyers_1d number = different users with a purchase
-- feature: buyers_7d number = different users with a purchase
-- feature: buyers_30d number = different users with a purchase
-- feature: units_30d number = units bought
-- feature: trend_7d number = users a day in 7 days over users a day in 30 days; above 1 is rising

with event_log as (
    select user_id, item_id, event_name, event_at, quantity
    from events
    where
        event_at < $as_of
        and item_id is not null
        and event_name not in ('refund', 'remove_from_cart', 'view_promotion')
),

past as (
    select
        *,
        event_name = 'purchase' as is_purchase,
        event_at >= $as_of - interval 1 day as is_in_1d,
        event_at >= $as_of - interval 7 day as is_in_7d
    from event_log
    where event_at >= $as_of - interval 30 day
),

counts as (
    select
        item_id,
        count(distinct case when is_in_1d then user_id end) as users_1d,
        count(distinct case when is_in_7d then user_id end) as users_7d,
        count(distinct user_id) as users_30d,
        count(distinct case when is_in_1d and is_purchase then user_id end) as buyers_1d,
        count(distinct case when is_in_7d and is_purchase then user_id end) as buyers_7d,
        count(distinct case when is_purchase then user_id end) as buyers_30d,
        -- Decimals add up to the same sum in any order.
        sum(case when is_purchase then cast(coalesce(quantity, 1) as decimal(18, 3)) else 0 end) as units_30d
    from past
    group by item_id
),

final as (
    select
        item_id as entity_id,
        $as_of - interval 1 microsecond as event_at,
        users_1d,
        users_7d,
        users_30d,
        buyers_1d,
        buyers_7d,
        buyers_30d,
        cast(units_30d as double) as units_30d,
        (users_7d / 7.0) / (users_30d / 30.0) as trend_7d
    from counts
)

select * from final
