-- view: item_repeat
-- entity: item
-- ttl_days: 365
-- about: Whether those who bought an item buy it again, or bring it back. True from the newest purchase or return on.
-- feature: buyers number = different users who bought it
-- feature: orders_per_buyer_mean number = orders
-- feature: repeat_buyer_share number = share of buyers with two orders or more
-- feature: repeat_days_median number = days from one order of a buyer to the next
-- feature: returned_line_share number = returned lines for each purchased line

with event_log as (
    select
        user_id,
        item_id,
        event_name,
        event_at,
        coalesce(order_id, concat('session ', cast(session_id as varchar))) as order_key
    from events
    where event_at < $as_of and item_id is not null and event_name in ('purchase', 'refund')
),

orders as (
    select item_id, user_id, order_key, min(event_at) as order_at
    from event_log
    where event_name = 'purchase'
    group by item_id, user_id, order_key
),

paced as (
    select
        item_id,
        user_id,
        (
            epoch_us(order_at)
            - epoch_us(lag(order_at) over (partition by item_id, user_id order by order_at, order_key))
        ) / 86400000000.0 as days
    from orders
),

buyers as (
    select item_id, user_id, count(*) as orders
    from orders
    group by item_id, user_id
),

buyer_statistics as (
    select
        item_id,
        count(*) as buyers,
        sum(orders) / count(*) as orders_per_buyer_mean,
        count(case when orders > 1 then 1 end) / count(*) as repeat_buyer_share
    from buyers
    group by item_id
),

pace_statistics as (
    select item_id, median(days) as repeat_days_median
    from paced
    group by item_id
),

line_statistics as (
    select
        item_id,
        max(event_at) as event_at,
        count(case when event_name = 'refund' then 1 end)
        / nullif(count(case when event_name = 'purchase' then 1 end), 0) as returned_line_share
    from event_log
    group by item_id
),

final as (
    select
        buyer_statistics.item_id as entity_id,
        line_statistics.event_at,
        buyer_statistics.buyers,
        buyer_statistics.orders_per_buyer_mean,
        buyer_statistics.repeat_buyer_share,
        pace_statistics.repeat_days_median,
        line_statistics.returned_line_share
    from buyer_statistics
    inner join line_statistics on buyer_statistics.item_id = line_statistics.item_id
    inner join pace_statistics on buyer_statistics.item_id = pace_statistics.item_id
)

select * from final
