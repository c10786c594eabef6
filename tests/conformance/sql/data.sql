INSERT INTO customers VALUES (1,'ann@x.org','Ann','Oslo'),(2,'bob@x.org','Bob','Rome'),(3,'cat@x.org','Cat',NULL),(4,'dan@x.org',NULL,'Oslo'),(5,'eve@x.org','Eve','Paris');
INSERT INTO orders VALUES (10,1,'2024-01-01 10:00+00','paid',100.00,'a'),(11,1,'2024-01-05 09:30+00','new',50.50,NULL),(12,2,'2024-01-03 12:00+00','paid',75.25,'b'),(13,2,'2024-02-01 00:00+00','shipped',NULL,'c'),(14,3,'2024-02-14 14:14+00','new',0.00,NULL),(15,1,'2024-03-01 08:00+00','shipped',999.99,'rush'),(16,4,'2024-03-01 08:00+00','paid',12.00,NULL);
INSERT INTO order_items VALUES (10,1,'apple',2,1.50),(10,2,'pear',10,2.00),(11,1,'apple',1,1.50),(12,1,'fig',3,4.25),(12,2,'apple',5,1.40),(12,3,'plum',1,NULL),(14,1,'pear',4,2.00),(15,1,'gold',1,999.99),(16,1,'pear',6,2.00);
INSERT INTO products VALUES ('apple','Apple',1.50,'fruit',true),('pear','Pear',2.00,'fruit',true),('fig','Fig',4.25,NULL,false),('plum','Plum',3.00,'fruit,stone',NULL),('gold','Gold bar',999.99,'metal',true),('iron','Iron bar',10.00,'metal',false);
INSERT INTO things VALUES ('00000000-0000-0000-0000-000000000001',1,10,100,1.5,'ab','2024-01-01',true,1.10),('00000000-0000-0000-0000-000000000002',2,20,200,-2.25,'cd','2024-06-30',false,2.2),('00000000-0000-0000-0000-000000000003',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),('00000000-0000-0000-0000-000000000004',2,10,300,0,'zz','2023-12-31',true,1.1);
INSERT INTO loose VALUES (1,'one'),(2,'two'),(2,'two'),(NULL,'none'),(3,NULL);
INSERT INTO tree VALUES (1,NULL,'root'),(2,1,'left'),(3,1,'right'),(4,2,'leaf'),(5,3,'leaf'),(6,5,'deep');
INSERT INTO pairs VALUES (1,1,10),(1,2,20),(2,1,30),(NULL,1,40),(NULL,1,50);
INSERT INTO wide SELECT g,'a'||g,'b'||g,'c'||g,'d'||g,'e'||g,g,g*2,g*3,g%3 FROM generate_series(1,20) g;
