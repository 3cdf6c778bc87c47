-- Carries out several writes in one call. KEYS holds one key per write; ARGV holds, write after
-- write, a letter and what that letter needs:
--   u data                          set, whatever version is there
--   s flag version ttl data         set; flag 0 makes the key first-write, version 0 means any,
--                                   ttl is seconds, "p" (remove it) or "" (leave it)
--   d version                       delete; version 0 means any
-- Answers 1 when all are done, else a list with one entry per write: 1 done, 0 another version is
-- there, -1 the key holds a RedisJSON document, or the text of Redis's error. To make a list of
-- nothing but 1 takes Redis longer than the HSET of a plain set. Nothing raises: one bad write stops
-- no other.

-- The rules. Only made where they are needed: to make so many functions takes Redis longer than a
-- plain set.
local function rules()
  local WRONG_TYPE = 'WRONGTYPE'
  local DOCUMENT = 'ReJSON-RL'

  local function failed(reply)
    return type(reply) == 'table' and reply.err
  end

  -- The answer for a key that is no hash, if it must not be touched.
  local function untouchable(key, problem)
    if not string.find(problem, WRONG_TYPE, 1, true) then
      return problem
    end
    local kind = redis.pcall('TYPE', key)
    if kind.ok == DOCUMENT then
      return -1
    end
    return failed(kind)
  end

  -- Sets or removes the time to live; answers with the error, if there is one.
  local function age(key, ttl)
    return failed(ttl == 'p' and redis.pcall('PERSIST', key) or redis.pcall('EXPIRE', key, ttl))
  end

  -- Whether EXPIRE or PERSIST would be let through, asked before anything is written.
  local function forbidden(key, ttl, version)
    if not redis.acl_check_cmd then
      -- Before version 7 one can only try, on a key that is there; a new one is removed again. The
      -- two writes leave the version as it is, and fail where the value could not be stored: of
      -- memory Redis only asks before a script has written anything.
      if not version then
        return nil
      end
      local counted = redis.pcall('HINCRBY', key, 'version', 1)
      if not failed(counted) then
        counted = redis.pcall('HINCRBY', key, 'version', -1)
      end
      return failed(counted) or age(key, ttl)
    end
    local known, allowed
    if ttl == 'p' then
      known, allowed = pcall(redis.acl_check_cmd, 'PERSIST', key)
    else
      known, allowed = pcall(redis.acl_check_cmd, 'EXPIRE', key, ttl)
    end
    if known and allowed then
      return nil
    end
    return 'NOPERM the time to live of the key cannot be set: EXPIRE and PERSIST must be allowed'
  end

  local function store(key, data, version, flag)
    local plain = not version or (#version < 16 and string.find(version, '^[1-9]%d*$'))
    if not plain then
      local counted = redis.pcall('HINCRBY', key, 'version', 1)
      if failed(counted) then
        return counted
      end
      if flag == '0' then
        return redis.pcall('HSET', key, 'data', data, 'first-write', '0')
      end
      return redis.pcall('HSET', key, 'data', data)
    end
    local following = version and string.format('%d', version + 1) or '1'
    if flag == '0' then
      return redis.pcall('HSET', key, 'data', data, 'version', following, 'first-write', '0')
    end
    return redis.pcall('HSET', key, 'data', data, 'version', following)
  end

  -- found is what HMGET gave, where it was asked already.
  local function set(key, data, flag, wanted, ttl, found)
    found = found or redis.pcall('HMGET', key, 'version', 'first-write')
    local foreign = failed(found)
    local version, sticky
    if foreign then
      local answer = untouchable(key, foreign)
      if answer then
        return answer
      end
    else
      version, sticky = found[1], found[2]
      local allowed = not version or version == '' or version == wanted
        or (wanted == '0' and not sticky)
      if not allowed then
        return 0
      end
    end
    if ttl ~= '' then
      local refusal = forbidden(key, ttl, version)
      if refusal then
        return refusal
      end
    end
    local stored = store(key, data, version, flag)
    if foreign and failed(stored) and string.find(stored.err, WRONG_TYPE, 1, true) then
      -- The store above would have failed for want of memory or rights, too: the foreign value is
      -- removed only when its type is all that stands in the way.
      if ttl ~= '' and not redis.acl_check_cmd then
        local refusal = age(key, ttl)
        if refusal then
          return refusal
        end
      end
      local removed = redis.pcall('DEL', key)
      if failed(removed) then
        return removed.err
      end
      stored = store(key, data, version, flag)
    end
    if failed(stored) then
      return stored.err
    end
    if ttl == '' then
      return 1
    end
    local problem = age(key, ttl)
    if problem and not version then
      redis.pcall('DEL', key)
    end
    return problem or 1
  end

  local function delete(key, wanted)
    if wanted ~= '0' then
      local version = redis.pcall('HGET', key, 'version')
      local foreign = failed(version)
      if foreign then
        local answer = untouchable(key, foreign)
        if answer then
          return answer
        end
      elseif version and version ~= '' and version ~= wanted then
        return 0
      end
    end
    local removed = redis.pcall('DEL', key)
    return failed(removed) or 1
  end

  return set, delete
end

local call = redis.pcall
local set, delete
-- The answers that are not 1.
local others
local at = 1
for i = 1, #KEYS do
  local key, letter = KEYS[i], ARGV[at]
  local answer, found
  if letter == 'u' then
    found = call('HMGET', key, 'version', 'first-write')
    -- false where there is none, nil where Redis answered with an error.
    local version = found[1]
    local counts = version == false
      or version and #version < 16 and string.find(version, '^[1-9]%d*$')
    if counts and not found[2] then
      -- What set would do with one of our hashes, or with nothing there.
      local following = version and string.format('%d', version + 1) or '1'
      local stored = call('HSET', key, 'data', ARGV[at + 1], 'version', following)
      answer = type(stored) == 'table' and stored.err or 1
    end
  end
  if not answer and not set then
    set, delete = rules()
  end
  if letter == 'u' then
    answer = answer or set(key, ARGV[at + 1], '1', '0', '', found)
    at = at + 2
  elseif letter == 's' then
    answer = set(key, ARGV[at + 4], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    at = at + 5
  else
    answer = delete(key, ARGV[at + 1])
    at = at + 2
  end
  if answer ~= 1 then
    others = others or {}
    others[i] = answer
  end
end
if not others then
  return 1
end
for i = 1, #KEYS do
  others[i] = others[i] or 1
end
return others
