-- view: user_basket
-- entity: user
-- ttl_days: 365
-- about: What a user's baskets look like: size, worth, prices, pace. True from the newest purchase or return on.
-- feature: baskets number = orders so far
-- feature: lines_per_basket_mean number = different items in a basket
-- feature: units_per_basket_mean number = units in a basket
-- feature: basket_minor_mean number = paid for a basket, in minor units of the shop's main currency
-- feature: basket_minor_median number = paid for a basket
-- feature: basket_minor_max number = paid for a basket
-- feature: unit_price_minor_median number = paid for one unit
-- feature: unit_price_minor_max number = paid for one unit
-- feature: days_between_baskets_mean number = days from one basket to the next
-- feature: returned_line_share number = returned lines for each purchased line

with event_log as (
    select
        user_id,
        item_id,
        event_name,
        event_at,
        order_id,
        session_id,
        quantity,
        amount_minor,
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
        coalesce(event_log.order_id, concat('session ', cast(event_log.session_id as varchar))) as order_key,
        event_log.item_id,
        event_log.event_at,
        -- Decimals add up to the same sum in any order.
        cast(coalesce(event_log.quantity, 1) as decimal(18, 3)) as quantity,
        case when event_log.currency = main_currency.currency then event_log.amount_minor end as amount_minor
    from event_log
    left join main_currency on true
    where event_log.event_name = 'purchase'
),

baskets as (
    select
        user_id,
        order_key,
        min(event_at) as basket_at,
        count(*) as lines,
        count(distinct item_id) as items,
        sum(quantity) as units,
        sum(amount_minor) as amount_minor
    from lines
    group by user_id, order_key
),

basket_statistics as (
    select
        user_id,
        count(*) as baskets,
        sum(lines) as lines,
        sum(items) / count(*) as lines_per_basket_mean,
        cast(sum(units) as double) / count(*) as units_per_basket_mean,
        avg(amount_minor) as basket_minor_mean,
        median(amount_minor) as basket_minor_median,
        max(amount_minor) as basket_minor_max,
        (epoch_us(max(basket_at)) - epoch_us(min(basket_at))) / 86400000000.0 / nullif(count(*) - 1, 0)
            as days_between_baskets_mean
    from baskets
    group by user_id
),

price_statistics as (
    select
        user_id,
        median(amount_minor / cast(quantity as double)) as unit_price_minor_median,
        max(amount_minor / cast(quantity as double)) as unit_price_minor_max
    from lines
    where quantity > 0
    group by user_id
),

returns as (
    select user_id, count(*) as lines
    from event_log
    where event_name = 'refund'
    group by user_id
),

newest as (
    select user_id, max(event_at) as event_at
    from event_log
    where event_name in ('purchase', 'refund')
    group by user_id
),

final as (
    select
        basket_statistics.user_id as entity_id,
        newest.event_at,
        basket_statistics.baskets,
        basket_statistics.lines_per_basket_mean,
        basket_statistics.units_per_basket_mean,
        basket_statistics.basket_minor_mean,
        basket_statistics.basket_minor_median,
        basket_statistics.basket_minor_max,
        price_statistics.unit_price_minor_median,
        price_statistics.unit_price_minor_max,
        basket_statistics.days_between_baskets_mean,
        coalesce(returns.lines, 0) / basket_statistics.lines as returned_line_share
    from basket_statistics
    inner join newest on basket_statistics.user_id = newest.user_id
    left join price_statistics on basket_statistics.user_id = price_statistics.user_id
    left join returns on basket_statistics.user_id = returns.user_id
)

select * from final
