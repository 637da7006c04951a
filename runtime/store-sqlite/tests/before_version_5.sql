-- Takes the tables of schema.sql back to what version 4 had.
DROP VIEW attempt;
DROP TABLE attempts;
DROP TABLE modules;
DROP TABLE duplicates;
DROP TABLE redriven;
DROP INDEX dead_origin;
DROP INDEX dropped_origin;
DELETE FROM meta WHERE name = 'told';
