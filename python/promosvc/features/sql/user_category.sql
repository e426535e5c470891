-- view: user_category
-- entity: user_category
-- ttl_days: 30
-- about: What a user does in one category, over 30 and 365 days.
-- feature: events_30d number = events with an item of the category
-- feature: events_365d number = the same
-- feature: orders_30d number = orders with the category
-- feature: orders_365d number = the same
-- feature: spend_minor_365d number = paid, in minor units of the shop's main currency
-- feature: recency_days number = days since the newest event
-- feature: event_share_365d number = share of the user's events
-- feature: event_lift_365d number = that share over the same share of everybody; above 1 is more than usual

with event_log as (
    select
        user_id,
        item_id,
        event_name,
        event_at,
        coalesce(order_id, concat('session ', cast(session_id as varchar))) as order_key,
        amount_minor,
        coalesce(currency, '') as currency
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

main_currency as (
    select currency
    from event_log
    where event_name = 'purchase' and amount_minor is not null
    group by currency
    order by count(*) desc, currency
    limit 1
),

past as (
    select
        event_log.user_id,
        catalogue.category,
        event_log.event_at,
        case when event_log.event_name = 'purchase' then event_log.order_key end as order_key,
        case
            when event_log.event_name = 'purchase' and event_log.currency = main_currency.currency
                then event_log.amount_minor
        end as amount_minor,
        event_log.event_at >= $as_of - interval 30 day as is_in_30d
    from event_log
    inner join catalogue on event_log.item_id = catalogue.item_id
    left join main_currency on true
    where event_log.event_at >= $as_of - interval 365 day
),

crosses as (
    select
        user_id,
        category,
        max(event_at) as last_event_at,
        count(case when is_in_30d then 1 end) as events_30d,
        count(*) as events_365d,
        count(distinct case when is_in_30d then order_key end) as orders_30d,
        count(distinct order_key) as orders_365d,
        sum(amount_minor) as spend_minor_365d
    from past
    group by user_id, category
),

users as (
    select user_id, sum(events_365d) as events
    from crosses
    group by user_id
),

categories as (
    select category, sum(events_365d) as events
    from crosses
    group by category
),

everybody as (
    select sum(events_365d) as events
    from crosses
),

final as (
    select
        crosses.user_id as entity_id,
        crosses.category,
        $as_of - interval 1 microsecond as event_at,
        crosses.events_30d,
        crosses.events_365d,
        crosses.orders_30d,
        crosses.orders_365d,
        crosses.spend_minor_365d,
        (epoch_us($as_of) - epoch_us(crosses.last_event_at)) / 86400000000.0 as recency_days,
        crosses.events_365d / users.events as event_share_365d,
        (crosses.events_365d / users.events) / (categories.events / everybody.events) as event_lift_365d
    from crosses
    inner join users on crosses.user_id = users.user_id
    inner join categories on crosses.category = categories.category
    cross join everybody
)

select * from final
