-- view: user_coupon
-- entity: user
-- ttl_days: 90
-- about: How a user answers promotions: coupons used, redemptions, promotions seen and selected.
-- feature: coupon_line_share_365d number = share of purchased lines paid in part by coupon
-- feature: coupon_minor_365d number = paid by coupon, in minor units of the shop's main currency
-- feature: redemptions_30d number = redeem_promotion events
-- feature: redemptions_90d number = redeem_promotion events
-- feature: redemptions_365d number = redeem_promotion events
-- feature: redeemed_promotions_365d number = different promotions redeemed
-- feature: redemption_recency_days number = days since the newest redemption
-- feature: promotion_views_30d number = view_promotion events
-- feature: promotion_selects_30d number = select_promotion events
-- feature: redeemed_view_share_365d number = share of the promotions seen that were redeemed

with event_log as (
    select
        user_id,
        event_name,
        event_at,
        promotion_id,
        amount_minor,
        coupon_discount_minor,
        coalesce(currency, '') as currency
    from events
    where event_at < $as_of
),

past as (
    select *
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

purchases as (
    select
        past.user_id,
        count(*) as lines,
        count(case when past.coupon_discount_minor > 0 then 1 end) as coupon_lines,
        sum(case when past.currency = main_currency.currency then past.coupon_discount_minor end) as coupon_minor
    from past
    left join main_currency on true
    where past.event_name = 'purchase'
    group by past.user_id
),

answers as (
    select
        user_id,
        count(case when event_name = 'redeem_promotion' and event_at >= $as_of - interval 30 day then 1 end)
            as redemptions_30d,
        count(case when event_name = 'redeem_promotion' and event_at >= $as_of - interval 90 day then 1 end)
            as redemptions_90d,
        count(case when event_name = 'redeem_promotion' then 1 end) as redemptions_365d,
        count(distinct case when event_name = 'redeem_promotion' then promotion_id end) as redeemed_promotions_365d,
        max(case when event_name = 'redeem_promotion' then event_at end) as last_redemption_at,
        count(case when event_name = 'view_promotion' and event_at >= $as_of - interval 30 day then 1 end)
            as promotion_views_30d,
        count(case when event_name = 'select_promotion' and event_at >= $as_of - interval 30 day then 1 end)
            as promotion_selects_30d
    from past
    group by user_id
),

promotions as (
    select
        user_id,
        promotion_id,
        max(case when event_name = 'view_promotion' then 1 else 0 end) as is_seen,
        max(case when event_name = 'redeem_promotion' then 1 else 0 end) as is_redeemed
    from past
    where promotion_id is not null
    group by user_id, promotion_id
),

seen_promotions as (
    select user_id, sum(is_seen * is_redeemed) / nullif(sum(is_seen), 0) as redeemed_share
    from promotions
    group by user_id
),

final as (
    select
        answers.user_id as entity_id,
        $as_of - interval 1 microsecond as event_at,
        purchases.coupon_lines / purchases.lines as coupon_line_share_365d,
        purchases.coupon_minor as coupon_minor_365d,
        answers.redemptions_30d,
        answers.redemptions_90d,
        answers.redemptions_365d,
        answers.redeemed_promotions_365d,
        (epoch_us($as_of) - epoch_us(answers.last_redemption_at)) / 86400000000.0 as redemption_recency_days,
        answers.promotion_views_30d,
        answers.promotion_selects_30d,
        seen_promotions.redeemed_share as redeemed_view_share_365d
    from answers
    left join purchases on answers.user_id = purchases.user_id
    left join seen_promotions on answers.user_id = seen_promotions.user_id
)

select * from final
