// An address book as many teams have one: Express and Sequelize on PostgreSQL, without metrics.
"use strict";

const bodyParser = require("body-parser");
const express = require("express");
const { DataTypes, Sequelize } = require("sequelize");

const { DB_HOST, DB_PASSWORD, DB_PORT, DB_SCHEMA, DB_USER, PORT } = process.env;
const database = new Sequelize(DB_SCHEMA, DB_USER, DB_PASSWORD, {
  dialect: "postgres",
  host: DB_HOST,
  port: Number(DB_PORT),
  logging: false,
});
const Person = database.define("Person", {
  firstName: { type: DataTypes.STRING, allowNull: false },
  lastName: { type: DataTypes.STRING, allowNull: true },
});

const answer = (work) => async (request, response) => {
  try {
    response.status(200).send(JSON.stringify(await work(request)));
  } catch (error) {
    response.status(500).send(JSON.stringify(error));
  }
};

const service = express();
service.use(bodyParser.urlencoded({ extended: true }));
service.get("/person/:id", answer(({ params }) => Person.findByPk(params.id)));
service.put("/person", answer(({ body: { firstName, lastName } }) => Person.create({ firstName, lastName })));
service.get("/all", answer(() => Person.findAll()));
service.get("/ready", answer(() => database.authenticate()));

database.sync().then(() => service.listen(Number(PORT)));
process.on("SIGTERM", () => process.exit(0));
