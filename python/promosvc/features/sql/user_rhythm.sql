-- view: user_rhythm
-- entity: user
-- ttl_days: 365
-- about: When a user acts: shares of active hours by weekday and time of day (UTC). True from the newest event on.
-- feature: active_hours number = different hours with an event
-- feature: monday_share number = share of those hours
-- feature: tuesday_share number = share of those hours
-- feature: wednesday_share number = share of those hours
-- feature: thursday_share number = share of those hours
-- feature: friday_share number = share of those hours
-- feature: saturday_share number = share of those hours
-- feature: sunday_share number = share of those hours
-- feature: night_share number = from 0 to 6 o'clock
-- feature: morning_share number = from 6 to 12 o'clock
-- feature: afternoon_share number = from 12 to 18 o'clock
-- feature: evening_share number = from 18 to 24 o'clock
-- feature: top_weekday category = the weekday with most of those hours, the earlier one of equals
-- feature: top_hour number = the hour of the day with most of them, the earlier one of equals

with event_log as (
    select user_id, event_at
    from events
    where event_at < $as_of
),

-- An hour counts once: a basket of fifty lines is one visit.
hours as (
    select distinct user_id, date_trunc('hour', event_at) as hour_at
    from event_log
),

parts as (
    select user_id, extract(isodow from hour_at) as weekday, extract(hour from hour_at) as hour
    from hours
),

shares as (
    select
        user_id,
        count(*) as active_hours,
        count(case when weekday = 1 then 1 end) / count(*) as monday_share,
        count(case when weekday = 2 then 1 end) / count(*) as tuesday_share,
        count(case when weekday = 3 then 1 end) / count(*) as wednesday_share,
        count(case when weekday = 4 then 1 end) / count(*) as thursday_share,
        count(case when weekday = 5 then 1 end) / count(*) as friday_share,
        count(case when weekday = 6 then 1 end) / count(*) as saturday_share,
        count(case when weekday = 7 then 1 end) / count(*) as sunday_share,
        count(case when hour < 6 then 1 end) / count(*) as night_share,
        count(case when hour >= 6 and hour < 12 then 1 end) / count(*) as morning_share,
        count(case when hour >= 12 and hour < 18 then 1 end) / count(*) as afternoon_share,
        count(case when hour >= 18 then 1 end) / count(*) as evening_share
    from parts
    group by user_id
),

weekdays as (
    select
        user_id,
        weekday,
        row_number() over (partition by user_id order by count(*) desc, weekday) as place
    from parts
    group by user_id, weekday
),

day_hours as (
    select
        user_id,
        hour,
        row_number() over (partition by user_id order by count(*) desc, hour) as place
    from parts
    group by user_id, hour
),

newest as (
    select user_id, max(event_at) as event_at
    from event_log
    group by user_id
),

final as (
    select
        shares.user_id as entity_id,
        newest.event_at,
        shares.active_hours,
        shares.monday_share,
        shares.tuesday_share,
        shares.wednesday_share,
        shares.thursday_share,
        shares.friday_share,
        shares.saturday_share,
        shares.sunday_share,
        shares.night_share,
        shares.morning_share,
        shares.afternoon_share,
        shares.evening_share,
        case weekdays.weekday
            when 1 then 'monday'
            when 2 then 'tuesday'
            when 3 then 'wednesday'
            when 4 then 'thursday'
            when 5 then 'friday'
            when 6 then 'saturday'
            else 'sunday'
        end as top_weekday,
        day_hours.hour as top_hour
    from shares
    inner join newest on shares.user_id = newest.user_id
    inner join weekdays on shares.user_id = weekdays.user_id and weekdays.place = 1
    inner join day_hours on shares.user_id = day_hours.user_id and day_hours.place = 1
)

select * from final
