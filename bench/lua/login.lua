-- Logs in with the bodies that stand in a file, a line each, in turns.
local messages = {}
local sent = 0

function init(args)
  for body in io.lines(args[1]) do
    messages[#messages + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
  end
end

function request()
  sent = sent + 1
  return messages[sent % #messages + 1]
end
