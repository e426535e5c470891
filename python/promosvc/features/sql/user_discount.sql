-- view: user_discount
-- entity: user
-- ttl_days: 365
-- about: How much a user buys on discount. True from the newest purchase on.
-- feature: discounted_line_share number = share of lines bought below the list price
-- feature: discounted_spend_share number = share of what was paid that went to such lines
-- feature: discount_depth_mean number = what discounts took off the list price, over all lines
-- feature: discount_depth_max number = the deepest discount on a line
-- feature: discounted_line_share_newest number = the same share in the newest 10 orders

with event_log as (
    select
        user_id,
        event_name,
        event_at,
        coalesce(order_id, concat('session ', cast(session_id as varchar))) as order_key,
        amount_minor,
        coalesce(discount_minor, 0) + coalesce(coupon_discount_minor, 0) as taken_off_minor,
        coalesce(currency, '') as currency
    from events
    where event_at < $as_of
),

main_currency as (
    select currency
    from event_log
    where event_name = 'purchase' and amount_minor is not null
    group by currency
    order by count(*) desc, currency
    limit 1
),

lines as (
    select
        event_log.user_id,
        event_log.event_at,
        event_log.order_key,
        event_log.amount_minor,
        event_log.taken_off_minor,
        event_log.amount_minor + event_log.taken_off_minor as list_minor
    from event_log
    inner join main_currency on event_log.currency = main_currency.currency
    where event_log.event_name = 'purchase' and event_log.amount_minor is not null
),

orders as (
    select user_id, order_key, max(event_at) as order_at
    from lines
    group by user_id, order_key
),

newest_orders as (
    select user_id, order_key
    from (
        select
            user_id,
            order_key,
            row_number() over (partition by user_id order by order_at desc, order_key) as place
        from orders
    ) as placed
    where place <= 10
),

newest_shares as (
    select
        lines.user_id,
        count(case when lines.taken_off_minor > 0 then 1 end) / count(*) as discounted_line_share
    from lines
    inner join newest_orders
        on lines.user_id = newest_orders.user_id and lines.order_key = newest_orders.order_key
    group by lines.user_id
),

shares as (
    select
        user_id,
        max(event_at) as event_at,
        count(case when taken_off_minor > 0 then 1 end) / count(*) as discounted_line_share,
        sum(case when taken_off_minor > 0 then amount_minor else 0 end) / nullif(sum(amount_minor), 0)
            as discounted_spend_share,
        sum(taken_off_minor) / nullif(sum(list_minor), 0) as discount_depth_mean,
        max(taken_off_minor / nullif(list_minor, 0)) as discount_depth_max
    from lines
    group by user_id
),

final as (
    select
        shares.user_id as entity_id,
        shares.event_at,
        shares.discounted_line_share,
        shares.discounted_spend_share,
        shares.discount_depth_mean,
        shares.discount_depth_max,
        newest_shares.discounted_line_share as discounted_line_share_newest
    from shares
    inner join newest_shares on shares.user_id = newest_shares.user_id
)

select * from final
