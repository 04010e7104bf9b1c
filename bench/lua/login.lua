-- Logs in with the body that stands in a file.
function init(args)
  local file = io.open(args[1])
  local body = file:read("*a")
  file:close()
  message = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
end

function request()
  return message
end
