-- Each thread has one connection and carries one chain of refresh tokens, which it takes from its line of a file.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local line = 0
  for token in io.lines(args[1]) do
    if line == number then refresh_token = token end
    line = line + 1
  end
  headers = { ["Content-Type"] = "application/json" }
end

function request()
  return wrk.format("POST", nil, headers, '{"refreshToken":"' .. refresh_token .. '"}')
end

-- The tutorial's server answers no new refresh token: the old one goes on.
function response(status, _, body)
  if status < 300 then
    refresh_token = body:match('"refreshToken":%s*"([^"]+)"') or refresh_token
  end
end
