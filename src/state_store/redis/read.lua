-- Reads several keys in one call. KEYS holds the keys. Answers two entries per key:
--   nil nil         there is no such key
--   data version    one of our hashes
--   data 1          another program's string, which has no version
--   nil 0           a hash that lacks one of the two fields
--   text 2          Redis's error
-- Ends early, with fewer answers, after a MiB of values: a script keeps everybody else waiting.
-- Nothing raises: one key that cannot be read hides no other. HGETALL rather than HMGET, so that a
-- key that is missing can be told from a hash without our fields by the same command.

local WRONG_TYPE = 'WRONGTYPE'
local MOST = 1048576

local function unread(key, problem)
  if not string.find(problem, WRONG_TYPE, 1, true) then
    return problem, 2
  end
  local plain = redis.pcall('GET', key)
  if type(plain) == 'table' and plain.err then
    return plain.err, 2
  end
  if not plain then
    return false, false
  end
  return plain, 1
end

local function read(key)
  local fields = redis.pcall('HGETALL', key)
  if fields.err then
    return unread(key, fields.err)
  end
  if #fields == 0 then
    return false, false
  end
  local data, version
  for at = 1, #fields, 2 do
    local name = fields[at]
    if name == 'data' then
      data = fields[at + 1]
    elseif name == 'version' then
      version = fields[at + 1]
    end
  end
  if data and version then
    return data, version
  end
  return false, 0
end

local answers = {}
local bytes = 0
for i = 1, #KEYS do
  local first, second = read(KEYS[i])
  answers[2 * i - 1], answers[2 * i] = first, second
  bytes = bytes + (first and #first or 0)
  if bytes > MOST then
    break
  end
end
return answers
