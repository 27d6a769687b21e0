-- Asks lastcall who makes a request, and passes it on with the answer: /etc/haproxy/lastcall.lua.

local ask = "http://127.0.0.1:8000/auth/forward-auth"
local told = { "x-lastcall-user", "x-lastcall-session", "x-lastcall-account", "x-lastcall-roles",
  "x-lastcall-external-id" }
-- What belongs to the connection or to the body, which is not sent on.
local dropped = {
  ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true,
  ["upgrade"] = true, ["te"] = true, ["keep-alive"] = true, ["trailer"] = true, ["host"] = true,
  ["x-original-method"] = true, ["x-original-uri"] = true,
}

local function refuse(txn, status, headers, body)
  local reply = txn:reply({ status = status })
  for name, values in pairs(headers or {}) do
    if not dropped[name] then
      for _, value in pairs(values) do
        reply:add_header(name, value)
      end
    end
  end
  reply:set_body(body or "")
  txn:done(reply)
end

core.register_action("lastcall", { "http-req" }, function(txn)
  local headers = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    -- Many services take "_" for "-".
    if string.find(string.gsub(name, "_", "-"), "^x%-lastcall%-") then
      txn.http:req_del_header(name)
    elseif not dropped[name] then
      headers[name] = {}
      for _, value in pairs(values) do
        table.insert(headers[name], value)
      end
    end
  end
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  local answer = core.httpclient():get({ url = ask, headers = headers, timeout = 5000 })
  if answer == nil or answer.status == nil or answer.status == 0 then
    refuse(txn, 503, { ["retry-after"] = { "1" }, ["cache-control"] = { "no-store" } })
  elseif answer.status ~= 200 then
    refuse(txn, answer.status, answer.headers, answer.body)
  else
    for _, name in ipairs(told) do
      for _, value in pairs(answer.headers[name] or {}) do
        if value ~= "" then
          txn.http:req_set_header(name, value)
        end
      end
    end
  end
end, 0)
