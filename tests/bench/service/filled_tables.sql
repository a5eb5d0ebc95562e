-- The rows of tests.bench.service.filled_tables. A colon before a word marks a parameter.

CREATE FUNCTION pg_temp.make_id(moment timestamptz, salt text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3)
            || '8' || substr(md5(salt), 4, 15))::uuid
$$;

CREATE TEMPORARY TABLE plan ON COMMIT DROP AS
SELECT
    n,
    n % 20 AS owner_number,
    'owner-' || n % 20 AS owner,
    is_queued,
    (CAST(:models AS text[]))[1 + h % 5] AS model,
    (CAST(:sizes AS int[]))[1 + h / 125 % 4] AS side,
    CASE WHEN h / 5 % 5 = 0 THEN 'interactive' ELSE 'bulk' END AS priority,
    CASE WHEN h / 5 % 5 > 0 AND h / 25 % 2 = 0 AND (is_queued OR h / 50 % 4 = 0)
        THEN (CAST(:campaigns AS uuid[]))[1 + n % 20] END AS campaign_id,
    CASE WHEN is_queued THEN 'queued'
         WHEN h / 1000 % 100 < 94 THEN 'succeeded'
         WHEN h / 1000 % 100 < 97 THEN 'failed'
         WHEN h / 1000 % 100 < 99 THEN 'canceled'
         ELSE 'expired' END AS status,
    h,
    CASE WHEN is_queued THEN :now - interval '6 hours' * (1 - n::float / :queued)
         ELSE :now - CAST(:days AS interval) * (1 - n::float / :finished) END AS moment
FROM (
    SELECT n, FALSE AS is_queued, hashint4(n) & 2147483647 AS h FROM generate_series(0, :finished - 1) AS n
    UNION ALL
    SELECT n, TRUE, hashint4(-1 - n) & 2147483647 FROM generate_series(0, :queued - 1) AS n
) AS drawn;

INSERT INTO jobs (
    id, owner, key_id, status, request, metadata, model, lane, priority, flow, fair_tag, num_images, steps,
    attempt, strikes, press_id, due_at, deadline_at, progress_step, error_code, error_message, error_retryable,
    campaign_id, recipient_id, created_at, started_at, finished_at
)
SELECT
    pg_temp.make_id(moment, n || status), owner, (CAST(:keys AS uuid[]))[1 + owner_number], status,
    json_build_object(
        'prompt', 'a ' || (ARRAY['fox', 'owl', 'rocket', 'kettle', 'violin'])[1 + h / 7 % 5] || ' number ' || n,
        'negative_prompt', '', 'model', model, 'width', side, 'height', side, 'steps', 20, 'guidance_scale', 5.0,
        'seed', n, 'num_images', 1
    ),
    '{}', model, model || '||' || side || 'x' || side || '|guided|text', priority, flow,
    CASE WHEN is_queued THEN row_number() OVER (PARTITION BY is_queued, flow, priority ORDER BY n) ELSE 0 END, 1, 20,
    CASE WHEN is_queued THEN 0 WHEN h / 3 % 30 = 0 THEN 2 ELSE 1 END, 0,
    CASE WHEN NOT is_queued THEN (CAST(:presses AS uuid[]))[1 + h % 10] END,
    CASE WHEN is_queued AND h / 11 % 100 = 0 THEN :now + interval '1 day' ELSE moment END,
    CASE WHEN h / 13 % 30 = 0 THEN moment + interval '2 days' END,
    CASE WHEN status = 'succeeded' THEN 20 ELSE 0 END,
    CASE status WHEN 'failed' THEN 'generation_failed' WHEN 'expired' THEN 'deadline_exceeded' END,
    CASE status WHEN 'failed' THEN 'The image could not be generated.' WHEN 'expired' THEN 'Its deadline passed.' END,
    CASE WHEN status IN ('failed', 'expired') THEN FALSE END,
    campaign_id, CASE WHEN campaign_id IS NOT NULL THEN 'r' || n || left(status, 1) END,
    moment,
    CASE WHEN NOT is_queued THEN moment + interval '1 second' END,
    CASE WHEN NOT is_queued THEN moment + interval '4 seconds' END
FROM (SELECT *, owner || coalesce('/' || campaign_id, '') AS flow FROM plan) AS flows
ORDER BY is_queued, n;

INSERT INTO attempts (
    job_id, number, press_id, outcome, error_code, started_at, ended_at, gpu_seconds, cpu_seconds, phases, is_booked,
    booked_outcome, booked_seconds
)
SELECT
    id, number, press_id, CASE WHEN number < attempt THEN 'lost' ELSE status END,
    CASE WHEN number = attempt THEN error_code END, started_at, finished_at, 2.5, 0.5, '{"denoise": 2.5}', TRUE,
    CASE WHEN number < attempt THEN 'lost' ELSE status END, 2.5
FROM jobs, LATERAL generate_series(1, attempt) AS number
WHERE status <> 'queued'
ORDER BY id;

INSERT INTO images (
    id, job_id, owner, attempt, position, status, seed, width, height, content_type, bytes, sha256, storage_key,
    thumbnail_key, verdict, safety, gpu_seconds, amount, currency, overrun_seconds, created_at
)
SELECT
    pg_temp.make_id(finished_at, 'image' || id), id, owner, attempt, 0,
    CASE WHEN is_blocked THEN 'quarantined' ELSE 'delivered' END, 7, 512, 512, 'image/png', 300000,
    CASE WHEN NOT is_blocked THEN md5('a' || id) || md5('b' || id) END,
    CASE WHEN NOT is_blocked THEN owner || '/' || id || '/1/0.png' END,
    CASE WHEN NOT is_blocked THEN owner || '/' || id || '/1/0.webp' END,
    CASE WHEN is_blocked THEN 'block' WHEN roll = 1 THEN 'review' ELSE 'pass' END, '{"scores": {"nsfw": 0.01}}',
    2.5, CASE WHEN is_blocked THEN 0 ELSE 416667 END, 'USD', 0, finished_at
FROM (SELECT *, roll = 0 AS is_blocked FROM (SELECT *, hashtext(id::text) & 127 AS roll FROM jobs) AS rolled) AS made
WHERE status = 'succeeded'
ORDER BY id;

CREATE TEMPORARY TABLE booked ON COMMIT DROP AS
SELECT
    attempts.started_at, owner, model, key_id, priority, status, attempts.press_id, outcome, '' AS currency,
    CASE WHEN number = 1 THEN 1 ELSE 0 END AS jobs, 1 AS attempts, gpu_seconds, 0 AS images,
    0.0 AS delivered_seconds, 0.0 AS overrun_seconds, 0 AS amount
FROM attempts JOIN jobs ON jobs.id = attempts.job_id
UNION ALL
SELECT
    attempts.started_at, jobs.owner, model, key_id, priority, jobs.status, attempts.press_id, '', currency, 0, 0, 0.0, 1,
    images.gpu_seconds, overrun_seconds, amount
FROM images
JOIN attempts ON attempts.job_id = images.job_id AND attempts.number = images.attempt
JOIN jobs ON jobs.id = images.job_id
WHERE images.status = 'delivered' AND verdict <> 'block';

INSERT INTO usage_sums (
    unit, owner, begins_at, model, key_id, priority, status, outcome, currency, jobs, attempts, gpu_seconds, images,
    delivered_seconds, overrun_seconds, amount
)
SELECT
    unit, owner, date_trunc(unit, started_at, 'UTC') AS begins_at, model, key_id, priority, status, outcome, currency,
    sum(jobs), sum(attempts), sum(gpu_seconds), sum(images), sum(delivered_seconds), sum(overrun_seconds), sum(amount)
FROM booked, unnest(ARRAY['hour', 'day']) AS unit
GROUP BY unit, owner, begins_at, model, key_id, priority, status, outcome, currency;

INSERT INTO press_usage_sums (
    unit, begins_at, press_id, outcome, currency, jobs, attempts, gpu_seconds, images, delivered_seconds,
    overrun_seconds, amount
)
SELECT
    unit, date_trunc(unit, started_at, 'UTC') AS begins_at, press_id, outcome, currency, sum(jobs), sum(attempts),
    sum(gpu_seconds), sum(images), sum(delivered_seconds), sum(overrun_seconds), sum(amount)
FROM booked, unnest(ARRAY['hour', 'day']) AS unit
GROUP BY unit, begins_at, press_id, outcome, currency;

INSERT INTO quarantined_images (image_id, owner, state, created_at, expires_at)
SELECT id, owner, 'waiting', created_at, created_at + interval '40 days' FROM images WHERE status = 'quarantined';

INSERT INTO press_readings (press_id, read_at, busy_seconds, cpu_seconds, overhead)
SELECT press_id, hour, 3000 * number, 600 * number, json_build_object('load', 60 * number)
FROM unnest(CAST(:presses AS uuid[])) AS press_id,
    generate_series(date_trunc('hour', :now - CAST(:days AS interval)), :now, '1 hour') WITH ORDINALITY AS hours (hour, number);

INSERT INTO recipient_lists (campaign_id, number, status, columns, accepted, rejected, fed, digest, created_at, approved_at)
SELECT campaign_id, 1, 'current', '["name"]', count(*), 0, count(*), 'd', :now, :now
FROM jobs WHERE campaign_id = (CAST(:campaigns AS uuid[]))[1] GROUP BY campaign_id;

INSERT INTO recipients (id, campaign_id, list_number, row, recipient_id, key, "values", arm)
SELECT
    pg_temp.make_id(created_at, 'recipient' || id), campaign_id, 1, row_number() OVER (ORDER BY id), recipient_id,
    recipient_id, '{"name": "Ada"}', 'main'
FROM jobs WHERE campaign_id = (CAST(:campaigns AS uuid[]))[1];

INSERT INTO prints (
    id, campaign_id, recipient_pk, index, arm, digest, seed, status, rerolls, job_id, image_id, held, amount, is_proof,
    updated_at
)
SELECT
    pg_temp.make_id(jobs.created_at, 'print' || jobs.id), jobs.campaign_id,
    pg_temp.make_id(jobs.created_at, 'recipient' || jobs.id), 0, 'main', md5(jobs.id::text), 7,
    CASE jobs.status WHEN 'succeeded' THEN 'printed' WHEN 'queued' THEN 'ordered' ELSE 'failed' END, 0, jobs.id,
    images.id, 0, coalesce(images.amount, 0), FALSE, :now
FROM jobs LEFT JOIN images ON images.job_id = jobs.id
WHERE jobs.campaign_id = (CAST(:campaigns AS uuid[]))[1];

INSERT INTO webhook_messages (
    id, endpoint_id, owner, destination, job_id, event, body, state, next_at, tries, earlier_tries, created_at, ended_at
)
SELECT
    pg_temp.make_id(finished_at, 'message' || id), :endpoint, owner, 'hooks.example', id, 'job.succeeded', '{}',
    'delivered', finished_at, 1, 0, finished_at, finished_at
FROM jobs WHERE owner = 'owner-0' AND status = 'succeeded';

INSERT INTO webhook_attempts (message_id, number, started_at, seconds, status)
SELECT id, 1, created_at, 0.1, 200 FROM webhook_messages;

INSERT INTO audit_events (id, at, owner, key_id, act, object_kind, object_id)
SELECT
    pg_temp.make_id(moment, 'event' || n), moment, owner, (CAST(:keys AS uuid[]))[1 + owner_number], 'image.erased', 'image',
    pg_temp.make_id(moment, 'erased' || n)::text
FROM plan WHERE h / 17 % 5 = 0;
