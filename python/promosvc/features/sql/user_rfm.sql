-- view: user_rfm
-- entity: user
-- ttl_days: 30
-- about: Recency, frequency and money of purchases over 7, 30, 90 and 365 days.
-- feature: recency_days number = days since the newest purchase of the last 365 days
-- feature: orders_7d number = orders
-- feature: orders_30d number = orders
-- feature: orders_90d number = orders
-- feature: orders_365d number = orders
-- feature: spend_minor_7d number = paid, in minor units of the shop's main currency
-- feature: spend_minor_30d number = paid
-- feature: spend_minor_90d number = paid
-- feature: spend_minor_365d number = paid

with event_log as (
    select user_id, event_name, event_at, order_id, session_id, amount_minor, coalesce(currency, '') as currency
    from events
    where event_at < $as_of
),

past as (
    select
        user_id,
        event_name,
        event_at,
        -- Without order ids, what is bought in one session is one order.
        coalesce(order_id, concat('session ', cast(session_id as varchar))) as order_key,
        amount_minor,
        currency
    from event_log
    where event_at >= $as_of - interval 365 day
),

main_currency as (
    select currency
    from event_log
    where event_name = 'purchase' and amount_minor is not null
    group by currency
    order by count(*) desc, currency
    limit 1
),

active_users as (
    select distinct user_id
    from past
),

purchases as (
    select
        past.user_id,
        past.event_at,
        past.order_key,
        case when past.currency = main_currency.currency then past.amount_minor end as amount_minor
    from past
    left join main_currency on true
    where past.event_name = 'purchase'
),

windows as (
    select
        user_id,
        max(event_at) as last_purchase_at,
        count(distinct case when event_at >= $as_of - interval 7 day then order_key end) as orders_7d,
        count(distinct case when event_at >= $as_of - interval 30 day then order_key end) as orders_30d,
        count(distinct case when event_at >= $as_of - interval 90 day then order_key end) as orders_90d,
        count(distinct order_key) as orders_365d,
        sum(case when event_at >= $as_of - interval 7 day then amount_minor end) as spend_minor_7d,
        sum(case when event_at >= $as_of - interval 30 day then amount_minor end) as spend_minor_30d,
        sum(case when event_at >= $as_of - interval 90 day then amount_minor end) as spend_minor_90d,
        sum(amount_minor) as spend_minor_365d
    from purchases
    group by user_id
),

final as (
    select
        active_users.user_id as entity_id,
        -- Windows move with the clock, so the row is true at the last instant that it looks at.
        $as_of - interval 1 microsecond as event_at,
        (epoch_us($as_of) - epoch_us(windows.last_purchase_at)) / 86400000000.0 as recency_days,
        coalesce(windows.orders_7d, 0) as orders_7d,
        coalesce(windows.orders_30d, 0) as orders_30d,
        coalesce(windows.orders_90d, 0) as orders_90d,
        coalesce(windows.orders_365d, 0) as orders_365d,
        -- A shop that tells no amounts has no spend, rather than a spend of nothing.
        case when main_currency.currency is not null then coalesce(windows.spend_minor_7d, 0) end as spend_minor_7d,
        case when main_currency.currency is not null then coalesce(windows.spend_minor_30d, 0) end as spend_minor_30d,
        case when main_currency.currency is not null then coalesce(windows.spend_minor_90d, 0) end as spend_minor_90d,
        case when main_currency.currency is not null then coalesce(windows.spend_minor_365d, 0) end as spend_minor_365d
    from active_users
    left join windows on active_users.user_id = windows.user_id
    left join main_currency on true
)

select * from final
