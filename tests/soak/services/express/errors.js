// Preloaded by NODE_OPTIONS: one request in five fails, whatever the service does.
"use strict";

const { Server } = require("http");
const { emit } = Server.prototype;
Server.prototype.emit = function (event, request, response) {
  if (event !== "request" || request.url === "/ready" || Math.random() > 0.2) {
    return emit.apply(this, arguments);
  }
  response.statusCode = 500;
  response.end();
  return true;
};
